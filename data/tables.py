"""The tables of a run, made from its journal: which candidate of a study became its example, and a line for each.

    accepted.jsonl   Example, one a line; none of a report alone, which a student may be asked for
    doubted.jsonl    study, candidate, verdict, where the outcome is doubt: they wait for a verifier or a reader
    rejected.jsonl   the same for those that were rejected; of a teacher's run
    samples.jsonl    the same for every candidate of a student's run
    verified.jsonl   what a verifier said of a candidate, statement by statement, where one was asked

They hold nothing that the journal does not, so they can be written again at any time, from a journal that still grows
too. Studies come in the order of their store, so that the same answers make the same tables whichever came first. This
file knows the manifest, the journal and the studies. It does not know who may write in the folder.
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from pydantic_core import to_json

from ..schemas.base import SCHEMA_VERSION
from ..schemas.candidate import Candidate
from ..schemas.example import Example, Provenance
from ..schemas.run import Event, Manifest, State
from ..schemas.study import Study
from ..schemas.trace import STEPS, WrittenLayout
from ..schemas.verdict import Verdict
from .choice import Rank, rank
from .files import readable_by, replacing
from .journal import Journal
from .judged import judged, judged_events
from .nearby import Nearby
from .store.studies import StudyStore


def accepted(manifest: Manifest, journal: Journal, store: StudyStore) -> Iterator[Example]:
    """One accepted candidate of each study, as an example: the first, or the best of several (choice.py).

    Args:
        manifest: the run's; its recipe says the layout, and whether a study had several answers.
        journal: the run's.
        store: its studies.
    """
    studies = Nearby(store)
    done = None  # the last study that has its example: candidates of one study come together
    chosen = _chosen(manifest, journal)
    for event in judged_events(journal, index=store.index):
        candidate, verdict = judged(event)
        if verdict.accepted and candidate.study_id != done and (not chosen or candidate.key in chosen):
            done = candidate.study_id
            if candidate.trace is not None and not candidate.trace.steps:
                continue  # a student's report alone: accepted, and no example of ten steps
            yield _example(studies.get(candidate.study_id), candidate, verdict, _layout(manifest))


def write_tables(folder: Path, manifest: Manifest, journal: Journal, store: StudyStore) -> dict[str, int]:
    """Write the tables from the journal as it stands, and count.

    Returns:
        attempts; studies that are accepted, doubted (none of their candidates was accepted, and one is in doubt) or
        rejected; repaired (studies accepted at a later attempt); and one count per state that is not judged.
    """
    rows = "samples" if manifest.kind == "sample" else "rejected"
    chosen = _chosen(manifest, journal)
    layout = _layout(manifest)
    count = Counter[str]()
    studies = Nearby(store)
    with (
        readable_by(owner_only=store.data_class == "restricted"),
        replacing(folder / "accepted.jsonl") as good,
        replacing(folder / "doubted.jsonl") as doubted,
        replacing(folder / f"{rows}.jsonl") as bad,
    ):
        # what was written by these nouns is copied, not checked and made again
        for study_id, events in groupby(judged_events(journal, index=store.index), key=attrgetter("study_id")):
            is_accepted = is_doubted = False
            for event in events:
                candidate, verdict = event.body["candidate"], event.body["verdict"]
                count["attempts"] += 1
                outcome = Verdict.model_validate(verdict).outcome
                if outcome == "accept" and not is_accepted and (not chosen or event.key in chosen):
                    is_accepted = True
                    count["repaired"] += candidate["attempt"] > 1
                    if candidate["trace"]["steps"]:  # or it is a student's report alone, and no example of ten steps
                        good.write(_line(studies.get(study_id), event, layout) + "\n")
                if rows == "samples" or outcome != "accept":
                    row = {"schema_version": SCHEMA_VERSION, "study_id": study_id}
                    line = json.dumps(row | {"candidate": candidate, "verdict": verdict}) + "\n"
                    if outcome == "doubt":
                        is_doubted = True
                        doubted.write(line)
                    if rows == "samples" or outcome == "reject":
                        bad.write(line)
            count["accepted" if is_accepted else "doubted" if is_doubted else "rejected"] += 1
    _write_verified(folder, journal, store)
    counts = {name: count[name] for name in ("attempts", "accepted", "doubted", "rejected", "repaired")}
    return counts | {state: n for state, n in journal.standing().items() if state is not State.JUDGED}


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


def _chosen(manifest: Manifest, journal: Journal) -> set[str]:
    """The keys that were chosen, where several answers to a study may have been accepted; else empty."""
    several = manifest.recipe.get("several", {})
    if several.get("strategy", "split") == "split" and several.get("samples", 1) == 1:
        return set()
    names = [spec.get("name") or spec.get("kind") for spec in manifest.recipe.get("teachers", ())]
    best: dict[str, Rank] = {}
    for event in judged_events(journal):
        candidate, verdict = judged(event)
        if verdict.accepted:
            here = rank(candidate, verdict, names)
            best[candidate.study_id] = min(here, best.get(candidate.study_id, here))
    return {found[-1] for found in best.values()}


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


def _line(study: Study, event: Event, layout: WrittenLayout) -> str:
    """What `_example(...).model_dump_json()` writes, at a third of the price."""
    candidate, verdict = event.body["candidate"], event.body["verdict"]
    if [step["number"] for step in candidate["trace"]["steps"]] != list(range(1, STEPS + 1)):
        return _example(study, *judged(event), layout).model_dump_json()  # says what is wrong
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
    return to_json(example).decode()
