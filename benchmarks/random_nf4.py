"""A student of random 4-bit weights, built from its config alone: the real classes at the real size, and no hub.

Weights are made and quantized one layer at a time on the device, so that an 11B model needs 7 GB and never 22.
"""

from typing import Any


def random_nf4(config: Any, device: str) -> Any:
    """Build the model: linear layers but the head in nf4 with double quantization, the rest in bfloat16 (CPU: float32).

    Args:
        config: of a vision-language model.
        device: cuda or cpu.
    """
    import bitsandbytes as bnb
    import torch
    from accelerate import init_empty_weights
    from transformers import AutoModelForImageTextToText

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with init_empty_weights(include_buffers=False):
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    torch.manual_seed(0)

    def noise(*shape: int) -> Any:
        return torch.randn(*shape, dtype=dtype, device=device) * 0.02

    for name, old in list(model.named_modules()):
        if not isinstance(old, torch.nn.Linear) or name.endswith("lm_head"):
            continue
        with init_empty_weights():
            new = bnb.nn.Linear4bit(
                old.in_features, old.out_features, old.bias is not None, compute_dtype=dtype, quant_type="nf4"
            )
        weight = noise(old.out_features, old.in_features)
        new.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=new).to(device)
        if device == "cpu":
            new.support_avx512bf16_for_cpu = False  # see distill/load.py
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, new)
    for name, weight in list(model.named_parameters()):
        if weight.is_meta:
            parent, _, leaf = name.rpartition(".")
            one = torch.ones(weight.shape, dtype=dtype, device=device) if "norm" in name else noise(*weight.shape)
            setattr(model.get_submodule(parent), leaf, torch.nn.Parameter(one, requires_grad=False))
    model.tie_weights()
    model.is_loaded_in_4bit = True
    return model.to(device)  # buffers; 4-bit weights are there


def batch_of(config: Any, rows: int, tokens: int, device: str, *, learned: int) -> dict[str, Any]:
    """A batch for Llama 3.2 Vision: one image of one tile, random text, loss on the last `learned` tokens."""
    import torch

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    vision, dice = config.vision_config, torch.Generator().manual_seed(0)
    ids = torch.randint(0, config.text_config.vocab_size, (rows, tokens), generator=dice)
    ids[:, 1] = config.image_token_index
    labels = ids.clone()
    labels[:, : tokens - learned] = -100
    tiles, size = vision.max_num_tiles, vision.image_size
    shown = torch.zeros(rows, 1, tiles, dtype=torch.long)
    shown[..., 0] = 1
    seen = torch.zeros(rows, tokens, 1, tiles, dtype=torch.long)
    seen[:, 1:, :, 0] = 1
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": labels,
        "pixel_values": torch.randn(rows, 1, tiles, 3, size, size, generator=dice).to(dtype),
        "aspect_ratio_ids": torch.ones(rows, 1, dtype=torch.long),
        "aspect_ratio_mask": shown,
        "cross_attention_mask": seen,
    }
    return batch if device == "cpu" else {name: value.to(device) for name, value in batch.items()}
