"""What a training run is: the recipe as it is recorded, and the base that it starts from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import RunError
from .. import prompt as prompts
from .examples import TrainingExamples
from .folder import BASE
from .preflight import TINY
from .run_card import RunCard
from .tiny_base import STEPS, tiny_base

_NEWER = frozenset({"traces", "too_long", "shape", "method", "preference", "reward", "vision_cache", "workers"})
OnProgress = Callable[[str, int, int], object]


def resolve(recipe: DistillRecipe, run: Path | None) -> dict[str, Any]:
    """The recipe as it is recorded and hashed. Keys that older versions did not have are left out at their defaults, so
    that a run they began can be resumed.
    """
    fields = recipe.model_dump(mode="json")
    defaults = DistillRecipe(kind="distill", name="defaults", base="any", steps=1).model_dump(mode="json")
    for group, name in (("traces", "without"), ("reward", "accepted")):
        if fields[group][name] == defaults[group][name]:
            del fields[group][name], defaults[group][name]
    fields = {name: value for name, value in fields.items() if name not in _NEWER or value != defaults[name]}
    return fields | ({"run": str(run.resolve())} if run is not None else {})


def build_base(
    recipe: DistillRecipe, examples: TrainingExamples, prompt: prompts.Prompt, out: Path, on_progress: OnProgress
) -> None:
    """The tiny base is built first, from the sentences of the targets' steps, in no order."""
    if recipe.base != TINY:
        return
    sentences = {text for example in examples.train for text in example.sentences} | set(prompt.text.splitlines())
    done = iter(range(1, 1_000_000))
    tiny_base(
        (out / BASE).resolve(),
        sorted(sentences),
        seed=recipe.seed,
        on_step=lambda: on_progress("base", next(done), STEPS),
    )


def base_of(recipe: DistillRecipe, out: Path) -> str:
    """Where the base lies."""
    if recipe.base == TINY:
        return str((out / BASE).resolve())
    return recipe.base if not Path(recipe.base).is_dir() else str(Path(recipe.base).resolve())


def check_processes(old: RunCard | None, world: int, out: Path) -> None:
    """Raises:
    RunError: the run began with another number of processes, each of which has its part of every checkpoint and batch.
    """
    if old is not None and not old.finished and old.processes != world:
        raise RunError(
            f"cannot go on: this training began with {old.processes} processes, and {world} were started; start as "
            "many, or choose another --out",
            file=out,
        )


def check_same(old: RunCard | None, now: dict[str, str], out: Path) -> None:
    """Raises:
    RunError: something that decides the result is no longer what it was when the run began.
    """
    if old is None:
        return
    changed = [name.removesuffix("_sha256") for name, value in now.items() if getattr(old, name) != value]
    if changed:
        what = " (rows, texts, images or their order)" if "data" in changed else ""
        raise RunError(f"cannot go on: {', '.join(changed)} changed since{what}; choose another --out", file=out)
