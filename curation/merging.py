"""Merging runs: the shards of one recipe become one run folder, as if one machine had made it.

Journals are joined, and nothing is asked. Runs belong together if their recipes say the same of everything that decides
an answer or a verdict, their stores are the same, and no study is in two of them. Traces that are templates only beside
those of other shards get their doubt now. What a run of the whole would have done with such a trace, ask for a repair,
`tenstep curate` with the recipe of the whole does on the merged run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

from ..data.files import hold, must_be_new, readable_by, replace_text, replacing_folder
from ..data.journal_join import join
from ..data.judged import judged, judged_event, judged_events
from ..data.nearby import Nearby
from ..data.recipes import recipe_of_run
from ..data.run import RunFolder
from ..data.run_files import CONTINUABLE, MANIFEST, recipe_sha256, relative_store
from ..data.sharding import Shard
from ..data.store.studies import StudyStore
from ..schemas.curate_recipe import CurateRecipe
from ..schemas.errors import InputError
from ..schemas.run import Manifest
from ..schemas.version import __version__
from .doubts import decided, doubts_of
from .requests.history import History
from .requests.policy import both
from .template_trace import Templates, marked
from .verdicts import opinion_of

_MAY_DIFFER = {*CONTINUABLE, "shard", "studies"} - {"limit"}
_SIDE_FOLDERS = ("judge", "probe", "batches", "drafts")
_BATCH = 256  # events that are appended, or traces that are compared, at once


@dataclass(frozen=True)
class Merged:
    """What a merge came to."""

    events: int
    counts: dict[str, int]
    spend_usd: float | None
    templates: int  # candidates whose doubt other shards brought
    finished: bool
    notes: tuple[str, ...]


def merge_runs(out: Path, paths: Sequence[Path], studies: Path | None = None) -> Merged:
    """Make one run folder of several; it appears when it is whole.

    Args:
        out: the new run folder.
        paths: run folders of `tenstep curate`.
        studies: their store, if it is no longer where they say.

    Raises:
        InputError: they do not belong together; says which, and in what.
        RunLockedError: another process works on one of them.
        RunError: one cannot be read, `out` is there already, or it cannot be written.
    """
    must_be_new(out, "is there already; choose another name for the merged run")
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise InputError("is named twice; name each run once", file=path)
    with ExitStack() as stack:
        runs = []
        for path in paths:
            runs.append(stack.enter_context(RunFolder.read(path, studies=studies)))
            stack.callback(hold(path / "run.lock", "working on this run").release)
        recipes = [recipe_of_run(run, CurateRecipe, "curate", "merged") for run in runs]
        notes = [*_missing(runs, recipes), *_differences(runs, recipes)]
        store = _store(runs)
        recipe = _whole(recipes).model_copy(update={"studies": store.place})
        out.parent.mkdir(parents=True, exist_ok=True)
        with readable_by(owner_only=store.data_class == "restricted"), replacing_folder(out) as part:
            part.mkdir()
            events = join([run.path for run in runs], part)
            manifest = _manifest(runs, recipe, relative_store(store, part))
            replace_text(part / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
            merged = _finish(part, recipe, store, finished=all(run.manifest.finished for run in runs))
    spend, counts, templates, finished = merged
    return Merged(events, counts, spend, templates, finished, tuple(notes))


def _missing(runs: Sequence[RunFolder], recipes: Sequence[CurateRecipe]) -> Iterator[str]:
    """See that shards are of one division, and each is there once; say which are not."""
    seen: dict[Shard, RunFolder] = {}
    for run, recipe in zip(runs, recipes, strict=True):
        if (shard := Shard.parse(recipe.shard)) is None:
            continue
        first = next(iter(seen), shard)
        if first.of != shard.of:
            raise InputError(
                f"is shard {recipe.shard}, and {seen[first].path} is one of {first.of}; merge shards of one division",
                file=run.path,
            )
        if shard in seen:
            raise InputError(
                f"is shard {recipe.shard}, and so is {seen[shard].path}; leave one of them out", file=run.path
            )
        seen[shard] = run
    if seen:
        of = next(iter(seen)).of
        if left := sorted({*range(1, of + 1)} - {shard.number for shard in seen}):
            names = ", ".join(f"{number}/{of}" for number in left)
            yield f"shards {names} are not among the runs; `tenstep curate` on the merged run will ask their studies"


def _differences(runs: Sequence[RunFolder], recipes: Sequence[CurateRecipe]) -> Iterator[str]:
    """See that the recipes are one; say what else differs that a user should know."""
    first = recipes[0].model_dump(mode="json")
    for run, recipe in zip(runs[1:], recipes[1:], strict=True):
        other = recipe.model_dump(mode="json")
        if foreign := sorted(key for key in first if key not in _MAY_DIFFER and first[key] != other[key]):
            raise InputError(
                f"is of another recipe than {runs[0].path} ({', '.join(foreign)} differ); it was not merged",
                file=run.path,
            )
    if len(versions := sorted({run.manifest.code_version for run in runs})) > 1:
        yield f"judged by versions {', '.join(versions)}; judge all alike with: tenstep recheck"
    for run in runs:
        if run.manifest.finished is None:
            yield f"{run.path} has not finished; `tenstep curate` on the merged run goes on with it"
        if found := [name for name in _SIDE_FOLDERS if (run.path / name).exists()]:
            yield f"{run.path}: what lies in {', '.join(found)} stays there"
        if (run.path / "batches").exists() and run.manifest.finished is None:
            raise InputError("may have batches under way; let it finish before it is merged", file=run.path)


def _store(runs: Sequence[RunFolder]) -> StudyStore:
    """The store of all; copies on several machines are one if they say the same of themselves."""
    store = runs[0].studies
    for run in runs[1:]:
        ours, theirs = (one.head.model_copy(update={"image_roots": {}}) for one in (store, run.studies))
        if run.studies.place != store.place and ours != theirs:
            raise InputError(
                f"works on {run.studies.place}, which is no copy of {store.place}; "
                "runs that are merged work on one store",
                file=run.path,
            )
    return store


def _whole(recipes: Sequence[CurateRecipe]) -> CurateRecipe:
    """The recipe of all: where shards have shares of something, their sum."""

    def total(key: str, name: str) -> Any:
        values = [getattr(getattr(recipe, key), name) for recipe in recipes]
        if any(value is None for value in values):
            return None
        return sum(values) if all(isinstance(value, int) for value in values) else float(sum(map(_exact, values)))

    first = recipes[0]
    update: dict[str, Any] = {"shard": None}
    for key in ("goal", "budget", "rate"):
        noun = getattr(first, key)
        update[key] = noun.model_copy(update={name: total(key, name) for name in type(noun).model_fields})
    return first.model_copy(update=update)


def _exact(value: float) -> Fraction:
    return Fraction(str(value))


def _manifest(runs: Sequence[RunFolder], recipe: CurateRecipe, studies: str) -> Manifest:
    manifests = [run.manifest for run in runs]
    policies = [one.policy for one in manifests if one.policy is not None]
    resolved = recipe.model_dump(mode="json")
    identities: Mapping[str, dict[str, Any]] = reduce(lambda a, b: {**a, **b.identities}, manifests, {})
    return Manifest(
        kind="curate",
        name=recipe.name,
        recipe=resolved,
        recipe_sha256=recipe_sha256(resolved),
        studies=studies,
        code_version=__version__,
        started=min(one.started for one in manifests),
        seconds=round(sum(one.seconds for one in manifests), 3),
        policy=reduce(both, policies) if policies else None,
        identities=dict(identities),
    )


def _finish(
    part: Path, recipe: CurateRecipe, store: StudyStore, *, finished: bool
) -> tuple[float | None, dict[str, int], int, bool]:
    with RunFolder.open(part, kind="curate", recipe=recipe, studies=store) as run:
        templates = _mark_templates(run, recipe)
        with run.journal.sums() as sums:
            spend = History.of(sums).settled.usd
        if finished:
            return spend, run.finish(spend_usd=spend, studies=len(store)).counts, templates, True
        return spend, run.write_tables(), templates, False


def _mark_templates(run: RunFolder, recipe: CurateRecipe) -> int:
    """Give traces their doubt that say what one of another shard says before another reference; how many."""
    doubts = doubts_of(recipe.model_dump())
    studies, events, count = Nearby(run.studies), [], 0
    opinions = (
        opinion_of(studies.get(event.study_id), *judged(event), event.raw) for event in judged_events(run.journal)
    )
    traces = ((one.candidate.key, one.candidate.study_id, one.sketches) for one in opinions if one.sketches is not None)
    with Templates() as templates:
        while some := list(islice(traces, _BATCH)):
            templates.remember(some)
        twins = {twin.key for twin in templates.twins()}
    for event in judged_events(run.journal) if twins else ():
        if event.key in twins:
            candidate, verdict = judged(event)
            now = decided(marked(verdict, True, recipe.severities), doubts)
            if now != verdict:
                count += 1
                events.append(judged_event(candidate, now, event.raw))
        if len(events) >= _BATCH:
            run.journal.append(*events).result()
            events = []
    run.journal.append(*events).result()
    return count
