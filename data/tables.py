"""The tables of a run, made from its journal: which candidate of a study became its example, and a line for each.

    accepted.jsonl   Example, one a line; none of a report alone, which a student may be asked for
    doubted.jsonl    study, candidate, verdict, where the outcome is doubt: they wait for a verifier or a reader
    rejected.jsonl   the same for those that were rejected; of a teacher's run
    samples.jsonl    the same for every candidate of a student's run
    verified.jsonl   what a verifier said of a candidate, statement by statement, where one was asked

They hold nothing that the journal does not, so they can be written again at any time, from a journal that still grows
too; the lines of studies without a new verdict are copied (table_lines.py). Studies come in the order of their store,
so that the same answers make the same tables whichever came first. This file knows the manifest, the journal and the
studies. It does not know who may write in the folder.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from ..schemas.base import SCHEMA_VERSION
from ..schemas.candidate import Candidate
from ..schemas.example import Example, Provenance
from ..schemas.run import Event, Manifest, State
from ..schemas.study import Study
from ..schemas.trace import STEPS, WrittenLayout
from ..schemas.verdict import Outcome, Verdict
from ..schemas.version import __version__
from .choice import rank
from .digest import outcome_in
from .files import readable_by, replacing
from .journal import Journal
from .judged import judged, judged_events
from .nearby import Nearby
from .run_files import recipe_sha256
from .store.studies import StudyStore


def accepted(manifest: Manifest, journal: Journal, store: StudyStore) -> Iterator[Example]:
    """One accepted candidate of each study, as an example: the first, or the best of several (choice.py).

    Args:
        manifest: the run's; its recipe says the layout, and whether a study had several answers.
        journal: the run's.
        store: its studies.
    """
    studies = Nearby(store)
    for study_id, events in groupby(judged_events(journal, index=store.index), key=attrgetter("study_id")):
        some = list(events)
        event = _chosen(some, [outcome_in(one.body["verdict"]) for one in some], manifest)
        if event is not None and _has_steps(event):
            yield _example(studies.get(study_id), *judged(event), _layout(manifest))


def write_tables(folder: Path, manifest: Manifest, journal: Journal, store: StudyStore) -> dict[str, int]:
    """Write the tables from the journal as it stands, and count.

    Returns:
        attempts; studies that are accepted, doubted (none of their candidates was accepted, and one is in doubt) or
        rejected; repaired (studies accepted at a later attempt); and one count per state that is not judged.
    """
    from .table_lines import known_lines, rewriting  # numpy, which who only looks at a run does not need

    names = ("accepted.jsonl", "doubted.jsonl", "samples.jsonl" if manifest.kind == "sample" else "rejected.jsonl")
    mark = _mark(manifest, store)
    now, known = journal.position(), known_lines(folder, names, mark)
    if known is not None and not journal.holds(known.upto):
        known = None
    studies = Nearby(store) if known is None else store
    since = None if known is None else known.upto
    with (
        readable_by(owner_only=store.data_class == "restricted"),
        rewriting(folder, names, mark, now, known) as writer,
    ):
        some = judged_events(journal, index=store.index, since=since)
        for study_id, events in groupby(some, key=attrgetter("study_id")):
            writer.put(store.place_of(study_id), *_lines(study_id, list(events), manifest, studies))
    _write_verified(folder, journal, store)
    counts = {name: writer.count[name] for name in ("attempts", "accepted", "doubted", "rejected", "repaired")}
    return counts | {state: n for state, n in journal.standing().items() if state is not State.JUDGED}


def _mark(manifest: Manifest, store: StudyStore) -> dict[str, Any]:
    """All that decides what a line holds, but for the journal."""
    recipe = manifest.recipe
    decides = {name: recipe.get(name) for name in ("layout", "several", "teachers")}
    return {"code": __version__, "kind": manifest.kind, "recipe": recipe_sha256(decides), "store": store.state}


def _lines(
    study_id: str, events: Sequence[Event], manifest: Manifest, studies: Nearby | StudyStore
) -> tuple[tuple[bytes, bytes, bytes], int, Outcome, bool]:
    """What one study has in the tables, how many candidates, what came of it, and whether at a later attempt.

    What was written by these nouns is copied, not checked and made again.
    """
    outcomes = [outcome_in(event.body["verdict"]) for event in events]
    good, doubted, bad = b"", [], []
    event = _chosen(events, outcomes, manifest)
    if event is not None and _has_steps(event):  # or it is a student's report alone, and no example of ten steps
        good = _line(studies.get(study_id), event, _layout(manifest)) + b"\n"
    for one, outcome in zip(events, outcomes, strict=True):
        if manifest.kind == "sample" or outcome != "accept":
            row = {"schema_version": SCHEMA_VERSION, "study_id": study_id}
            line = json.dumps(row | {name: one.body[name] for name in ("candidate", "verdict")}).encode() + b"\n"
            if outcome == "doubt":
                doubted.append(line)
            if manifest.kind == "sample" or outcome == "reject":
                bad.append(line)
    standing: Outcome = "accept" if event is not None else "doubt" if doubted else "reject"
    repaired = event is not None and event.body["candidate"]["attempt"] > 1
    return (good, b"".join(doubted), b"".join(bad)), len(events), standing, repaired


def _write_verified(folder: Path, journal: Journal, store: StudyStore) -> None:
    """The last usable answer about each candidate, else the last one; no file where no verifier was asked."""
    last: dict[str, tuple[str, bool]] = {}  # candidate: the request, and whether its answer was usable
    for event in journal.latest(State.JUDGED) if journal.has_other_answers() else ():
        of, usable = event.body.get("of"), "verification" in event.body
        if of is not None and (usable or not last.get(of, ("", False))[1]):
            last[of] = event.key, usable
    if not last and not (folder / "verified.jsonl").exists():
        return
    keys = {key for key, _ in last.values()}
    owner_only = store.data_class == "restricted"
    with readable_by(owner_only=owner_only), replacing(folder / "verified.jsonl") as file:
        for event in journal.latest(State.JUDGED, index=store.index):
            if event.key in keys:
                row = {"study_id": event.study_id, "candidate": event.body["of"]}
                row |= {name: event.body[name] for name in ("verification", "problem") if name in event.body}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _chosen(events: Sequence[Event], outcomes: Sequence[Outcome], manifest: Manifest) -> Event | None:
    """Of one study's candidates, in order: the first that is accepted, or the best of several; none if none is."""
    good = [event for event, outcome in zip(events, outcomes, strict=True) if outcome == "accept"]
    several = manifest.recipe.get("several", {})
    if len(good) < 2 or (several.get("strategy", "split") == "split" and several.get("samples", 1) == 1):
        return next(iter(good), None)
    names = [spec.get("name") or spec.get("kind") for spec in manifest.recipe.get("teachers", ())]
    return min(good, key=lambda event: rank(*judged(event), names))


def _has_steps(event: Event) -> bool:
    return bool(event.body["candidate"]["trace"]["steps"])


def _layout(manifest: Manifest) -> WrittenLayout:
    layout: WrittenLayout = manifest.recipe.get("layout", "plain")
    return layout


def _example(study: Study, candidate: Candidate, verdict: Verdict, layout: WrittenLayout) -> Example:
    assert candidate.trace is not None  # a candidate without a trace has an error, so it was not accepted
    provenance = Provenance(
        **candidate.model_dump(include=set(Provenance.model_fields) - {"warnings", "doubts", "resolution"}),
        warnings=tuple(f.code for f in verdict.findings if f.severity != "doubt"),
        doubts=tuple(f.code for f in verdict.findings if f.severity == "doubt"),
        resolution=verdict.resolution,
    )
    return Example(study=study, trace=candidate.trace, layout=layout, provenance=provenance)


def _line(study: Study, event: Event, layout: WrittenLayout) -> bytes:
    """What `_example(...).model_dump_json()` writes, at a third of the price."""
    candidate, verdict = event.body["candidate"], event.body["verdict"]
    if [step["number"] for step in candidate["trace"]["steps"]] != list(range(1, STEPS + 1)):
        return _example(study, *judged(event), layout).model_dump_json().encode()  # says what is wrong
    provenance = {name: candidate.get(name) for name in Provenance.model_fields}
    provenance["warnings"] = [f["code"] for f in verdict["findings"] if f["severity"] != "doubt"]
    provenance["doubts"] = [f["code"] for f in verdict["findings"] if f["severity"] == "doubt"]
    provenance["resolution"] = verdict.get("resolution")
    example = {
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "trace": candidate["trace"],
        "layout": layout,
        "provenance": provenance,
    }
    return to_json(example)
