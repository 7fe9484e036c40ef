"""A run of offline teachers, spread over an executor: every shard is a run of its own, then they are merged.

    OUT.shards/1, OUT.shards/2, ...  ->  merge_runs  ->  OUT, and what only the whole can see is curated there

A shard is resumed by its journal, whoever works on it: a node that dies costs the answers under way. Teachers that send
requests are not spread so: their budgets and rates are one process's, or split by hand (`--shard`).
"""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..data.executor import Executor, sure
from ..data.run_files import MANIFEST
from ..data.sharding import Shard
from ..data.store.studies import StudyStore
from ..schemas.curate_recipe import CurateRecipe
from ..schemas.errors import InputError, RecipeError, RunError
from ..schemas.plugins import Plugin, check_files, file_plugin
from .curating import Curated, curate_run, resolve
from .merging import merge_runs
from .teacher import load

_STUDIES, _SHARDS = 1_000, 64  # of a shard, at least; and at most so many: each reads through the store


def curate_offline(
    recipe: CurateRecipe,
    out: Path,
    executor: Executor,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    studies: int = _STUDIES,
) -> Curated:
    """Start a run, or go on with one.

    Args:
        recipe: resolved.
        out: the run folder, which every worker sees.
        executor: works on the shards.
        on_progress: called with shards that are done, and how many there are.
        studies: of a shard, at least; the same at every call on one folder.

    Raises:
        RecipeError: a teacher sends requests, or hands its questions over.
        RunError: a shard could not be worked on; the same call goes on.
    """
    _check(recipe)
    folder = out.with_name(f"{out.name}.shards")
    if not (out / MANIFEST).exists():
        count = max(1, min(_SHARDS, len(StudyStore.open(str(recipe.studies))) // studies))
        shards = [Shard(number, count) for number in range(1, count + 1)]
        folder.mkdir(parents=True, exist_ok=True)
        work = partial(_curate, recipe, tuple(map(file_plugin, recipe.rules)), folder)
        on_progress(0, count)
        for shard, found in zip(shards, executor.map(work, shards), strict=True):
            sure(found, f"shard {shard.number} of {count}")
            if not (folder / str(shard.number) / MANIFEST).exists():
                raise RunError("a worker wrote to another disk; every node must see this folder", file=folder)
            on_progress(shard.number, count)
        if count == 1:
            (folder / "1").rename(out)
        else:
            merge_runs(out, [folder / str(shard.number) for shard in shards])
    shutil.rmtree(folder, ignore_errors=True)  # or a kill has left it
    return curate_run(recipe, out)


def _curate(recipe: CurateRecipe, rules: Sequence[Plugin], folder: Path, shard: Shard) -> int:
    """One shard: a pure function of the recipe and the store, but for what its journal has already."""
    check_files(rules)
    if not folder.is_dir():
        raise InputError("there is no such folder", file=folder)
    alone = recipe if shard.of == 1 else resolve(recipe, shard=shard)
    return curate_run(alone, folder / str(shard.number), workers=0).manifest.counts["accepted"]


def _check(recipe: CurateRecipe) -> None:
    for spec in recipe.teachers:
        teacher = load(spec)
        if teacher.endpoints or getattr(teacher, "handed_over", False):
            raise RecipeError(
                f"teacher '{teacher.name}' sends requests, or hands them over: --engine is for offline teachers; "
                "divide such a run with --shard",
                field="teachers",
            )
    if recipe.verifier is not None and recipe.verify != "off":
        raise RecipeError("--engine is for runs without a verifier; divide this one with --shard", field="verifier")
