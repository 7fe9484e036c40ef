"""The review page: one HTML file with every judged study, which opens from disk and asks nothing of a network.

It shows what a reviewer needs to trust or doubt a trace: the film, the reference, each attempt with its findings at
their place, and which attempt repaired which. It judges nothing. The text of reports and answers is hostile until shown
otherwise: it passes through `marked`, and the page's policy forbids every request and every script but its own.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ...data.attribution import attribution_of
from ...data.evaluations import cells, chosen, columns, described, evaluation_of
from ...data.files import replacing
from ...data.formats.json_lines import json_lines
from ...data.run import RunFolder
from ...data.store.studies import StudyStore
from ...schemas.attribution import Attributed
from ...schemas.evaluation import Evaluation
from ...schemas.run import State
from ...schemas.study import RejectedRow, Study
from .cards import Judged, PathOf, author_of, card, status_of
from .templates import closing, opening, part, ranked, render

Item = tuple[Study, Sequence[Judged]]
LIMIT = 2_000  # studies on one page; a browser keeps up with these
_ROWS = 200  # rejected source rows that are listed
_CHUNK = 1 << 20
_SHOWN = ("repaired", "doubted", "rejected")
_UNJUDGED = {State.REFUSED: "refused", State.FAILED: "failed", State.UNKNOWN: "sent, and the answer never read whole"}


def write_review(runs: Sequence[RunFolder], out: Path) -> int:
    """Write the page of one run or several, finished or not. Only its owner can read a page of restricted data.

    Returns:
        how many studies are on it: at most LIMIT of each run, and then the page says so.

    Raises:
        OSError: the page cannot be written.
    """
    restricted = any(run.studies.data_class == "restricted" for run in runs)
    sheets = [_sheet(run) for run in runs]
    notes = [note for sheet in sheets for note in sheet.notes]
    if restricted:
        notes.append("Restricted data: keep this file where the terms of its source allow.")
    pieces = page(
        (item for sheet in sheets for item in sheet.items),
        title=" · ".join(sheet.title for sheet in sheets),
        path_of=lambda ref: Path(ref.path),
        notes=notes,
        rejected=(row for store in _stores(runs) for row in store.rejected()),
        judged=_scores(runs),
        attribution={key: row for run in runs for key, row in attribution_of(run.path).items()},
        evaluations=[found for run in runs if (found := evaluation_of(run.path)) is not None],
    )
    with replacing(out, private=restricted) as stream:
        stream.writelines(pieces)
    return sum(sheet.studies for sheet in sheets)


class _Sheet(NamedTuple):
    """What one run brings to the page."""

    title: str
    studies: int
    items: Iterator[Item]
    notes: list[str]


def _sheet(run: RunFolder) -> _Sheet:
    judged: dict[str, list[Judged]] = {}
    left_out: set[str] = set()
    for candidate, verdict in run.judged():
        if candidate.study_id in judged or len(judged) < LIMIT:
            judged.setdefault(candidate.study_id, []).append((candidate, verdict))
        else:
            left_out.add(candidate.study_id)
    kind = "Student samples" if run.manifest.kind == "sample" else "Teacher traces"
    title = f"{kind}: {run.manifest.name}"
    notes = [f"{title}: {len(left_out):,} more studies were judged and are not on this page."] if left_out else []
    states = Counter(run.journal.states().values())
    notes += [f"{title}: requests {what}: {states[state]:,}." for state, what in _UNJUDGED.items() if states[state]]
    if run.manifest.finished is None:
        notes.append(f"{title}: the run has not finished.")
    items = ((located(run.studies, run.studies.get(study_id)), attempts) for study_id, attempts in judged.items())
    return _Sheet(title, len(judged), items, notes)


def located(store: StudyStore, study: Study) -> Study:
    """The study with its images' whole paths, so that studies of several stores can stand on one page."""
    images = tuple(ref.model_copy(update={"path": str(store.path_of(ref))}) for ref in study.images)
    return study.model_copy(update={"images": images})


def _scores(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """The median scores of every judge of these runs (RUN/judge/NAME), by the key of the candidate."""
    found: dict[str, list[str]] = {}
    for file in (file for run in runs for file in sorted(run.path.glob("judge/*/judgements.jsonl"))):
        for line in json_lines(file):
            row = line.found or {}
            scores = [f"{name.replace('_', ' ')} {score:g}" for name, score in row.items() if _is_score(score)]
            if scores:
                found.setdefault(str(row.get("key")), []).append(f"Judge {file.parent.name}, of 5: {', '.join(scores)}")
    return found


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _stores(runs: Sequence[RunFolder]) -> list[StudyStore]:
    return list({run.studies.root.resolve(): run.studies for run in runs}.values())


def page(
    items: Iterable[Item],
    *,
    title: str,
    path_of: PathOf,
    notes: Sequence[str] = (),
    rejected: Iterable[RejectedRow] = (),
    judged: Mapping[str, Sequence[str]] = {},
    attribution: Mapping[str, Attributed] = {},
    evaluations: Sequence[Evaluation] = (),
) -> Iterator[str]:
    """The page in pieces; studies are taken one by one and memory does not grow with them.

    Args:
        items: each study with its attempts in order.
        title: of the page.
        path_of: finds an image's file.
        notes: sentences below the counts.
        rejected: source rows that did not become studies, listed at the end.
        judged: what judges said of candidates, by their keys.
        attribution: how well a student knows them, by their keys; the page can then be sorted by it.
        evaluations: of the runs' students.
    """
    statuses: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    authors: Counter[str] = Counter()
    # the counts stand above the studies, and are known after them
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as cards:
        for number, (study, attempts) in enumerate(items, 1):
            cards.write(card(number, study, attempts, path_of, judged=judged, attribution=attribution))
            statuses[status_of(attempts)] += 1
            codes.update({finding.code for _, verdict in attempts for finding in verdict.findings})
            authors.update({author_of(candidate) for candidate, _ in attempts})
        style, script = part("findings.css", "review.css"), part("review.js")
        accepted = statuses["accepted"] + statuses["repaired"]
        yield opening(
            "review.html",
            title=title,
            style=style,
            script=script,
            notes=notes,
            counts={"": statuses.total(), "accepted": accepted, **{name: statuses[name] for name in _SHOWN}},
            codes=ranked(codes),
            authors=ranked(authors),
            attributed=len(attribution),
            evaluations=[
                (
                    one.student.name,
                    described(one),
                    [*columns(one), "implementation"],
                    [[*cells(f), f"{f.implementation} {f.version}"] for f in chosen(one, by_label=False)],
                )
                for one in evaluations
            ],
        )
        cards.seek(0)
        while chunk := cards.read(_CHUNK):
            yield chunk
    yield _rejected(rejected)
    yield "</main>" + closing(script)


def _rejected(rows: Iterable[RejectedRow]) -> str:
    iterator = iter(rows)
    listed = list(islice(iterator, _ROWS))
    if not listed:
        return ""
    return render("rejected_rows.html", rows=listed, count=len(listed) + sum(1 for _ in iterator))
