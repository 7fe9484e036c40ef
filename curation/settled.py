"""Settled: whether a run has nothing left to do, so that the same command on it answers at once.

A call that leaves nothing to ask, to judge or to compare says so in the manifest (`Manifest.settled`): what it found,
and marks of all that it depends on: recipe, code, teachers, study store, journal, tables. While each of them is as it
was, a further call would read every verdict again and change none, so it takes what was found. If any differs, or one
request has failed or is unknown, the call goes the whole way.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data.run import RunFolder
from ..data.run_files import CONTINUABLE, MANIFEST
from ..data.store.studies import StudyStore
from ..schemas.curate_recipe import CurateRecipe
from ..schemas.run import Manifest, Settled, State
from ..schemas.version import __version__
from .prompt import Prompts
from .requests.tally import Tally
from .teacher import Question, Teacher, request_key
from .template_trace import FORM
from .verifying.question import VerifierPrompt

_COUNTERS = ("codes", "verified")
_OF_THE_CALL = ("reasons", "forecast", "passed_over")  # what a later call has none of


class CallMarks(NamedTuple):
    """Hashes of what a call is made from."""

    call: str  # of all
    study: str  # of what the end of a single study depends on: all but the keys that may differ between two calls


def marks_of(recipe: CurateRecipe, teachers: Sequence[Teacher], store: StudyStore) -> CallMarks | None:
    """The marks of a call; the first question stands for prompts and for how requests are named.

    Args:
        recipe: resolved.
        teachers: all that it names, a verifier too.
        store: the studies.

    Returns:
        None for an empty store.
    """
    study = next(iter(store), None)
    if study is None:
        return None
    question = Question(study, Prompts(recipe.prompt).fill(study), path_of=store.path_of)
    spec = recipe.verifier
    parts = {
        "code": [__version__, FORM],
        "verifier": None if spec is None else [VerifierPrompt(spec.prompt).sha256, _hash(spec.calibration)],
        "first": [request_key(teacher, question) for teacher in teachers],
        "store": store.state,
    }
    resolved = recipe.model_dump(mode="json")
    lasting = {name: value for name, value in resolved.items() if name not in CONTINUABLE}
    return CallMarks(*(_digest(parts | {"recipe": fields}) for fields in (resolved, lasting)))


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _hash(file: str | None) -> str | None:
    return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()


def settle(run: RunFolder, mark: str | None, tally: Tally) -> None:
    """Note in the manifest of a run that was just finished that nothing is left to do, if that is so."""
    undone = tally.ended != "data" or tally.waiting or tally.reopened or tally.forecast
    states = run.journal.standing()
    if mark is None or undone or set(states) - {State.JUDGED, State.REFUSED}:
        return
    found = {name: value for name, value in vars(tally).items() if name not in _OF_THE_CALL}
    found |= {"asked": 0, "recalled": states.get(State.JUDGED, 0)} | {name: dict(found[name]) for name in _COUNTERS}
    run.note(Settled(mark=mark, events=run.journal.count(), tables=_tables(run.path), tally=found))


def settled(folder: Path, mark: str | None) -> tuple[Manifest, Tally] | None:
    """What the last call on a run found, if nothing is left to do; none if that is not known."""
    if mark is None or not (folder / MANIFEST).is_file():
        return None
    with RunFolder.read(folder) as run:
        found = run.manifest.settled
        if run.manifest.finished is None or found is None or found.mark != mark:
            return None
        if (found.events, found.tables) != (run.journal.held, _tables(folder)):
            return None
        fields = found.tally | {name: Counter(found.tally[name]) for name in _COUNTERS}
        return run.manifest, Tally(**fields | {"notes": tuple(found.tally["notes"])})


def _tables(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each table."""
    return {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(folder.glob("*.jsonl"))}
