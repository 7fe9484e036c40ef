"""Who loads the model: transformers (`hf`), or unsloth, which is faster and needs CUDA.

unsloth changes transformers and trl when it is imported, so it is imported only where it is used, and never without
CUDA: there it loads no vision model. Both train the same modules on the same batches (lora.py, collator.py), so that
the choice is one of speed. It goes into the run card with its reason. The unsloth half has not been run here: no CUDA.
"""

import importlib
import importlib.util
from typing import Any, Literal, NamedTuple

from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import MissingExtraError, TrainingError
from ..load import Loaded, device, load, pinned_student
from ..student import Student
from . import lora


class Choice(NamedTuple):
    """A backend and why it was chosen."""

    name: Literal["hf", "unsloth"]
    why: str


def choose(wanted: Literal["auto", "hf", "unsloth"], only_hf: str | None = None) -> Choice:
    """The backend for this machine.

    Args:
        wanted: the recipe's.
        only_hf: what unsloth is not wired for, if the recipe has it.

    Raises:
        TrainingError: the recipe says unsloth, and there is no CUDA.
        MissingExtraError: the recipe says unsloth, and it is not installed.
    """
    if wanted == "hf":
        return Choice("hf", "the recipe says so")
    if only_hf is not None:
        return Choice("hf", f"unsloth is not wired for {only_hf}")
    cuda, installed = device() == "cuda", importlib.util.find_spec("unsloth") is not None
    if wanted == "unsloth":
        if not cuda:
            raise TrainingError("unsloth needs CUDA, and there is none here; say hf or auto", field="backend")
        if not installed:
            raise MissingExtraError("unsloth", "unsloth")
        return Choice("unsloth", "the recipe says so")
    if cuda and installed:
        return Choice("unsloth", "CUDA is here and unsloth is installed")
    return Choice("hf", "unsloth is not installed" if cuda else "there is no CUDA here, which unsloth needs")


def load_base(choice: Choice, base: str, recipe: DistillRecipe, *, local_rank: int = 0) -> Loaded:
    """Load the base, its processor and its family; without adapters.

    Raises:
        TrainingError, InputError: see load.py.
    """
    if choice.name == "hf":
        return load(base, recipe.revision, recipe.quantize, recipe.lora.whole, local_rank=local_rank)
    fast = importlib.import_module("unsloth").FastVisionModel
    student = pinned_student(base, recipe.revision)
    model, processor = fast.from_pretrained(
        base,
        revision=recipe.revision,
        trust_remote_code=False,
        load_in_4bit=recipe.quantize == "nf4",
        max_seq_length=recipe.max_length,
        use_gradient_checkpointing=_checkpointing(recipe),
        use_exact_model_name=True,  # else it loads another repository that it maps the name to, without the revision
    )
    return Loaded(model, processor, student)


def _checkpointing(recipe: DistillRecipe) -> Literal["unsloth", False]:
    return "unsloth" if recipe.gradient_checkpointing else False


def imported_first(wanted: Literal["auto", "hf", "unsloth"]) -> str | None:
    """The library that must be imported before all others, because it changes them: unsloth, where it will be used."""
    if wanted == "hf" or any(importlib.util.find_spec(name) is None for name in ("torch", "unsloth")):
        return None
    return "unsloth" if device() == "cuda" else None


def adapted(choice: Choice, model: Any, student: Student, recipe: DistillRecipe) -> tuple[Any, Any]:
    """What the trainer is given: a model, and a peft config if it is to add the adapters itself."""
    if choice.name == "hf":
        return model, lora.config(model, student, recipe.lora)
    fast = importlib.import_module("unsloth").FastVisionModel
    wrapped = fast.get_peft_model(
        model,
        r=recipe.lora.r,
        lora_alpha=recipe.lora.alpha,
        lora_dropout=recipe.lora.dropout,
        use_rslora=recipe.lora.rslora,
        target_modules=lora.targets(model, student, recipe.lora),  # full names: they win over its finetune_* switches
        modules_to_save=list(recipe.lora.whole) or None,
        random_state=recipe.seed,
        use_gradient_checkpointing=_checkpointing(recipe),
    )
    fast.for_training(wrapped)
    return wrapped, None
