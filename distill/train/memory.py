"""What a run will need of a card, estimated before it starts. An estimate: allocators round up and fragment.

Of each weight it is known what it costs: nf4 with double quantization takes 4 bits, 8 for every 64 weights and 32 for
every 64 * 256 (Dettmers et al. 2023, QLoRA, section 3); everything else is bfloat16; what learns is float32, with a
gradient and two moments. Activations are counted for the usual decoder block: with checkpointing one tensor a layer
and one block's worth of work, without it every block's, and three copies of the logits (bfloat16, float32, gradient).
A preference pair is two texts; what answers keep while a rewarded student writes them is not counted.
"""

from typing import Any

from ...schemas.base import Noun
from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import TrainingError

_MB = 2**20
_NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)  # bytes a weight
_HALF = 2  # bytes of a bfloat16
_FULL = 4  # of a float32


class Memory(Noun):
    """Megabytes (2**20 bytes)."""

    weights_mb: int
    learning_mb: int
    activations_mb: int
    total_mb: int
    card_mb: int | None = None
    card: str | None = None


def estimate(model: Any, recipe: DistillRecipe, trainable: int, tokens: int) -> Memory:
    """Estimate a step of training.

    Args:
        model: with weights or without, 4-bit or not.
        recipe: batch, quantization, optimizer, checkpointing.
        trainable: weights that learn.
        tokens: of the longest conversation.

    Raises:
        TrainingError: weights alone, without any activation, are more than the card has.
    """
    weights = _weights(model, recipe)
    moments = 2 if recipe.optimizer.name == "adamw_8bit" else 2 * _FULL
    learning = trainable * (2 * _FULL + moments)
    activations = _activations(model, recipe, tokens)
    total = weights + learning + activations
    name, has = _card()
    if has is not None and weights + learning > has:
        raise TrainingError(
            f"the weights alone need {(weights + learning) / 2**30:.1f} GB and {name} has {has / 2**30:.1f} GB; "
            "quantize to nf4, choose fewer layers or a smaller base",
            field="base",
        )
    return Memory(
        weights_mb=round(weights / _MB),
        learning_mb=round(learning / _MB),
        activations_mb=round(activations / _MB),
        total_mb=round(total / _MB),
        card_mb=None if has is None else round(has / _MB),
        card=name,
    )


def _weights(model: Any, recipe: DistillRecipe) -> float:
    import torch

    kept = ("lm_head", *recipe.lora.whole)
    linear = {
        name: part.in_features * part.out_features
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear) and not name.endswith(kept)
    }
    inside = {f"{name}.weight" for name in linear}
    rest = sum(weight.numel() for name, weight in model.named_parameters() if name not in inside)
    each = _NF4 if recipe.quantize == "nf4" else _HALF
    return float(sum(linear.values()) * each + rest * _HALF)


def _activations(model: Any, recipe: DistillRecipe, tokens: int) -> float:
    config = model.config
    text, vision = config.get_text_config(), config.vision_config
    texts = recipe.batch * (2 if recipe.method == "dpo" else 1)  # a pair is two texts
    rows = texts * tokens
    work = _work(text, rows)
    layers = text.num_hidden_layers
    kept = rows * text.hidden_size * _HALF
    language = layers * kept + work if recipe.gradient_checkpointing else layers * work
    logits = rows * text.vocab_size * (_HALF + 4 + 4)
    patches = texts * _patches(config, tokens)
    seen = _work(vision, patches)
    depth = getattr(vision, "num_hidden_layers", None) or vision.depth
    blocks = int(depth) + getattr(vision, "num_global_layers", 0)
    if "vision" in recipe.lora.parts:
        saved = patches * vision.hidden_size * _HALF
        seen = blocks * saved + seen if recipe.gradient_checkpointing else blocks * seen
    return float(language + logits + seen + patches * text.hidden_size * _HALF)


def _patches(config: Any, tokens: int) -> int:
    """Most patches of a conversation's image.

    Where an image always has the same number it is that. Where films are cut into tiles or keep their size, patches
    become tokens of the conversation, several to one, and all of its tokens are counted as the image's.
    """
    vision = config.vision_config
    size, patch = getattr(vision, "image_size", 0), vision.patch_size
    side = (size if isinstance(size, int) else size[0]) // (patch if isinstance(patch, int) else patch[0])
    whole = side * side + 1
    if hasattr(vision, "max_num_tiles"):  # Llama 3.2 Vision
        return int(vision.max_num_tiles * whole)
    if hasattr(config, "mm_tokens_per_image"):  # Gemma 3
        return whole
    merged = getattr(vision, "spatial_merge_size", None) or getattr(config, "scale_factor", None)
    merged = merged or 1 / getattr(config, "downsample_ratio", 1)
    return max(whole, int(tokens * merged**2))


def _work(config: Any, rows: int) -> float:
    """One block: eight tensors of its width (norms, attention), three of its feed-forward's."""
    return float(rows * (8 * config.hidden_size + 3 * getattr(config, "intermediate_size", 0)) * _HALF)


def _card() -> tuple[str | None, int | None]:
    import torch

    if not torch.cuda.is_available():
        return None, None
    return torch.cuda.get_device_name(), int(torch.cuda.mem_get_info()[1])
