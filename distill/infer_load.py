"""Loads a student for use: base with adapter, or merged weights, at the precision that the user and the device want.

    nf4     4 bits; the default on CUDA, and of a student that was trained so
    bf16    16 bits; half the memory of fp32, slow on processors without bfloat16 arithmetic
    fp32    32 bits; the default of merged 16-bit weights on a CPU

Hashes are checked before anything is loaded, as for sampling. Only safetensors, never a checkpoint's own code, no hub.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from ..schemas.errors import InputError, TrainingError
from . import adapter
from . import prompt as prompts
from .load import Loaded, check_processor, device, half_dtype, load, pinned_student, read_weights
from .prompt import Prompt
from .publish import merge_card
from .publish.merge_card import MergedCard
from .shape import no_processor

Precision = Literal["auto", "nf4", "bf16", "fp32"]


class Ready(NamedTuple):
    """A student that can be asked."""

    loaded: Loaded
    name: str
    precision: str
    prompt: Prompt
    max_new_tokens: int


def open_student(folder: Path, precision: Precision = "auto") -> Ready:
    """Load a student.

    Args:
        folder: what tenstep distill or tenstep merge wrote.
        precision: auto as above.

    Raises:
        InputError: no student lies there, or it cannot be had at that precision.
        TrainingError: weights do not belong together, or are not safetensors.
    """
    if not (folder / merge_card.FILE).is_file():
        return _with_adapter(adapter.find(folder), precision)
    card = MergedCard.read(folder)
    if card.precision == "nf4" and precision not in ("auto", "nf4"):
        raise InputError(f"holds 4-bit weights, which cannot be had as {precision}; merge again", file=folder)
    chosen = precision if precision != "auto" else "nf4" if device() == "cuda" or card.precision == "nf4" else "fp32"
    loaded = (
        load(str(folder), None, "nf4")
        if chosen == "nf4" and card.precision != "nf4"
        else open_merged(folder, bf16=chosen == "bf16")
    )
    asked = prompts.read(folder / prompts.FILE)
    return Ready(loaded, card.model, chosen, asked, card.max_new_tokens)


def open_merged(folder: Path, *, bf16: bool = False, local_rank: int = 0) -> Loaded:
    """Merged weights as they are stored: 4-bit ones stay so, 16-bit ones become fp32 or bf16; on CUDA always bf16."""
    import bitsandbytes
    import torch
    from transformers import AutoProcessor

    student = pinned_student(str(folder), None)
    where = device()
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        raise no_processor(error, str(folder)) from None
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())[:300]
        raise TrainingError(f"there is no processor in this folder; merge again ({line})", file=folder) from None
    model = read_weights(
        str(folder),
        local_files_only=True,
        dtype=half_dtype() if where == "cuda" else torch.bfloat16 if bf16 else torch.float32,
        device_map={"": local_rank if where == "cuda" else where},
    )
    if where == "cpu":  # the same arithmetic as in training and sampling, on every processor
        for module in model.modules():
            if isinstance(module, bitsandbytes.nn.Linear4bit):
                module.support_avx512bf16_for_cpu = False
    check_processor(processor, model, str(folder))
    return Loaded(model.eval(), processor, student)


def _with_adapter(folder: Path, precision: Precision) -> Ready:
    import torch

    card, asked = adapter.describe(folder)
    trained: Precision = "nf4" if card.quantize == "nf4" else "fp32"
    chosen = precision if precision != "auto" else "nf4" if device() == "cuda" else trained
    if (chosen == "nf4") != (card.quantize == "nf4"):
        raise TrainingError(
            f"this adapter was trained on {'4-bit' if trained == 'nf4' else 'unquantized'} weights, and fits no "
            f"others; merge it, and ask the merged weights as {chosen}",
            file=folder,
            field="precision",
        )
    loaded = adapter.load_student(folder, card)
    if chosen == "bf16":
        loaded.model.to(torch.bfloat16)
    return Ready(loaded, card.model, chosen, asked, card.max_new_tokens)
