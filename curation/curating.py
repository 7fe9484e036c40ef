"""Curating: one call of `tenstep curate`, or of `tenstep.curate` from Python: from a recipe to a finished run folder.

recipe = resolve(Path("recipe.yaml"), studies="studies")
curated = curate_run(recipe, Path("runs/one"))          the same call again resumes it
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..data.recipes import read_recipe
from ..data.run import RunFolder
from ..data.sharding import Shard, count
from ..data.store.studies import StudyStore
from ..schemas.curate_recipe import CurateRecipe
from ..schemas.errors import RecipeError, first_fault
from ..schemas.run import Manifest
from ..schemas.verdict import Weight
from ..validators import structure
from ..validators.gate import CODES, own_rules
from . import template_trace
from .batch_run import BatchRun
from .engine import Engine
from .requests.forecast import Forecast
from .requests.polite import run_politely
from .requests.session import check_requests
from .requests.tally import Tally
from .settled import marks_of, settle, settled
from .shares import recipe_of_shard
from .teacher import Teacher, load
from .verdict_pool import workers_for
from .verifying.verifier import authors, load_verifier


def bounded(recipe: CurateRecipe) -> bool:
    """Whether the recipe sets a budget, so that no call can spend more than was agreed."""
    return any(value is not None for value in recipe.budget.model_dump().values())


@dataclass(frozen=True, slots=True)
class Curated:
    """What came of one call."""

    manifest: Manifest
    tally: Tally
    unread: int  # answers that came and cannot be read


def resolve(
    recipe: Path | Mapping[str, Any] | CurateRecipe,
    studies: Path | str | None = None,
    shard: Shard | None = None,
    **given: Any,
) -> CurateRecipe:
    """A recipe with what a call gives in place of its keys.

    Args:
        recipe: a YAML file, next to which its own rules are found; the same as a mapping; or read already.
        studies: a study store, in place of the recipe's.
        shard: the part of the studies that this run works on, with its share of goal, budget and rate.
        given: other keys; None leaves the recipe's.

    Raises:
        RecipeError: it cannot be read or split, names no studies, or gives a severity to a code that takes none.
    """
    file = recipe if isinstance(recipe, Path) else None
    if isinstance(recipe, Path):
        found = read_recipe(recipe, CurateRecipe)
        rules = [str((recipe.parent / path).resolve()) for path in found.rules]
        found = found.model_copy(update={"rules": tuple(rules)})
    elif isinstance(recipe, CurateRecipe):
        found = recipe
    else:
        found = _valid({"kind": "curate", **recipe}, None)
    given["studies"] = None if studies is None else str(studies)
    changes = {name: value for name, value in given.items() if value is not None}
    found = _valid(found.model_dump() | changes, file)
    if found.studies is None:
        raise RecipeError(
            "says no studies; name a study store there, or one for this call (--studies, studies=...)",
            file=file,
            field="studies",
        )
    check_severities(found.severities, file, found.rules)
    return found if shard is None else recipe_of_shard(found, shard)


def _valid(keys: Mapping[str, Any], file: Path | None) -> CurateRecipe:
    try:
        return CurateRecipe.model_validate(keys)
    except ValidationError as error:
        message, field = first_fault(error)
        raise RecipeError(message, file=file, field=field) from None


def check_severities(severities: Mapping[str, Weight], file: Path | None, rules: Sequence[str] = ()) -> None:
    """See that every code is one that can be found, and none that is always an error.

    Raises:
        RecipeError: one is not, or is.
    """
    own = {code for rule in own_rules(rules) for code in rule.CODES}
    if strange := sorted(set(severities) - {*CODES, *template_trace.CODES, *own}):
        raise RecipeError(
            f"no rule finds '{strange[0]}'; see all codes with: tenstep rules", file=file, field="severities"
        )
    if fixed := sorted({"unreadable", *structure.CODES} & set(severities)):
        message = f"'{fixed[0]}' is always an error: an accepted trace has exactly ten steps"
        raise RecipeError(message, file=file, field="severities")


def curate_run(
    recipe: CurateRecipe,
    out: Path,
    *,
    workers: int | None = None,
    on_start: Callable[[int], None] = lambda studies: None,
    on_study: Callable[[Tally], None] = lambda tally: None,
    consent: Callable[[Forecast], bool] = lambda forecast: True,
) -> Curated:
    """Start a run, or go on with one.

    Args:
        recipe: resolved.
        out: the run folder.
        workers: processes that judge; if not given, as many as the run is worth. 0: none.
        on_start: called with the number of studies, once the run folder is open.
        on_study: called for every study that has come to an end.
        consent: asked after the pilot of a goal whether to go on.

    Raises:
        TenstepError: what is wrong with recipe, data or policy is said before there is a run folder.
    """
    teachers = [load(spec) for spec in recipe.teachers]
    verifier = load_verifier(recipe.verifier, authors(teachers)) if recipe.verifier and recipe.verify != "off" else None
    everyone: list[Teacher] = [*teachers, verifier] if verifier else teachers
    store = StudyStore.open(Path(str(recipe.studies)))
    recipe = recipe.model_copy(update={"studies": store.place})
    check_requests(recipe, everyone, store.data_class)
    batched = any(getattr(teacher, "batch", False) for teacher in everyone)
    marks = None if batched else marks_of(recipe, everyone, store)
    mark = marks and marks.call
    if (found := settled(out, mark)) is not None:
        return Curated(*found, unread=0)
    shard = Shard.parse(recipe.shard)
    studies = count(store, recipe.limit, shard)
    if workers is None:
        asked = len(recipe.teachers) if recipe.several.strategy == "best" else 1
        workers = workers_for(studies * asked * recipe.several.samples)
    with RunFolder.open(out, kind="curate", recipe=recipe, studies=store) as run:
        on_start(studies)
        kind = BatchRun if batched else Engine
        with _few_collections():
            options: dict[str, Any] = {"workers": workers, "on_study": on_study, "consent": consent}
            if marks is not None:
                options["mark"] = marks.study
            engine = kind(run, recipe, teachers, verifier, **options)
            run_politely(engine.work(), engine.stop)
        manifest = run.finish(spend_usd=engine.tally.spend_usd, studies=count(store, None, shard))
        settle(run, mark, engine.tally)
        return Curated(manifest, engine.tally, run.journal.unread())


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collect garbage rarely: what a request leaves holds no cycles worth an eighth of the processor."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
