"""Operations of a training step on the 11B model's true shape, counted on the meta device: no weights, no GPU.

    python -m benchmarks.step_flops

One sample of 700 tokens and four tiles, forward and backward with gradient checkpointing, for the recipes stage1 and
stage2, in TFLOP (products and sums of matrix products and convolutions; torch.utils.flop_counter):

    plain TRL             with the hooks that make embeddings require a gradient
    hooks removed         what `tenstep distill` does (distill/train/frozen.py)
    features kept         the same with `vision_cache`, from the second epoch on
"""

from pathlib import Path
from typing import Any

from tenstep.data.recipes import read_recipe
from tenstep.distill.libraries import quiet
from tenstep.distill.shape import on_meta, shipped_config
from tenstep.distill.student import student_of
from tenstep.distill.train.frozen import remove_input_gradients
from tenstep.distill.train.lora import config as lora_config
from tenstep.schemas.distill_recipe import DistillRecipe

ROOT = Path(__file__).resolve().parent.parent
TOKENS, TILES = 700, 4


def teraflop(recipe: DistillRecipe) -> dict[str, float]:
    """Of one sample, by way of training."""
    import torch
    from peft import get_peft_model

    bare = on_meta(shipped_config())
    adapters = lora_config(bare, student_of("mllama"), recipe.lora)
    model = get_peft_model(bare, adapters, low_cpu_mem_usage=True).train()
    base: Any = model.base_model.model
    getattr(base, "activation_checkpointing_enable", base.gradient_checkpointing_enable)({"use_reentrant": False})
    model.enable_input_require_grads()
    with torch.device("meta"):
        texts = {
            "input_ids": torch.zeros(1, TOKENS, dtype=torch.long),
            "attention_mask": torch.zeros(1, 1, TOKENS, TOKENS),  # of four dimensions: never looked into
            "cross_attention_mask": torch.ones(1, TOKENS, 1, TILES, dtype=torch.long),
        }
        pixels = texts | {
            "pixel_values": torch.zeros(1, 1, TILES, 3, 560, 560),
            "aspect_ratio_ids": torch.ones(1, 1, dtype=torch.long),
            "aspect_ratio_mask": torch.ones(1, 1, TILES, dtype=torch.long),
        }
        patches, width = bare.model.vision_model.num_patches, bare.model.hidden_size
        features = texts | {"cross_attention_states": torch.zeros(TILES, patches, width)}
    found = {"plain TRL": _counted(model, pixels)}
    remove_input_gradients(model)
    return found | {"hooks removed": _counted(model, pixels), "features kept": _counted(model, features)}


def _counted(model: Any, batch: dict[str, Any]) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(**batch).logits.float().mean().backward()
    return float(counter.get_total_flops()) / 1e12


def main() -> None:
    """Count and print."""
    print(f"Llama-3.2-11B-Vision's shape, one sample of {TOKENS} tokens and {TILES} tiles, TFLOP a step (times less)")
    with quiet():
        for name in ("stage1", "stage2"):
            recipe = read_recipe(ROOT / "examples" / "recipes" / f"{name}.yaml", DistillRecipe)
            found = teraflop(recipe)
            plain = found["plain TRL"]
            print(f"{name}: " + ", ".join(f"{way} {one:.1f} ({plain / one:.2f}x)" for way, one in found.items()))


if __name__ == "__main__":
    main()
