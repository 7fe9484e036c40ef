"""Items: what lies at a path, row by row, each judged and measured; or why a row could not be judged.

A row without a reference of its own is judged against the report in its text. Of a run, the candidate that decided
each study counts: the accepted one, else the last in doubt, else the last. Only a few rows at a time are held, and
processes may share the work: what comes out, and its order, is the same for any number of them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ...data.executor import Executor, Failed
from ...data.foreign import Raw, rows
from ...data.foreign import count as rows_at
from ...data.processes import THIS_PROCESS
from ...data.run import RunFolder
from ...schemas.candidate import Candidate
from ...schemas.errors import InputError
from ...schemas.plugins import Plugin, check_files
from ...schemas.study import Study
from ...schemas.verdict import Doubts, Outcome, Verdict, Weight
from ..pages.review import located
from ..recheck import Stored, content, judge_again, options_of
from .faults import image_faults, report_faults
from .judged import AS_IT_IS, Reader, judge_row
from .measures import MeasuredTrace, measured
from .problems import RowProblem
from .rows import BadRow, Form, read_row

_ORDER: tuple[Outcome, ...] = ("accept", "doubt", "reject")


class Item(NamedTuple):
    """A judged row."""

    id: str
    study: Study
    candidate: Candidate
    verdict: Verdict
    measured: MeasuredTrace | None  # none where the trace could not be read
    has_reference: bool = True
    patient: str | None = None  # none where the data does not say
    split: str | None = None
    layout: str = "plain"


def items(path: Path, reader: Reader = AS_IT_IS, executor: Executor = THIS_PROCESS) -> Iterator[Item | RowProblem]:
    """Judge every row at a path.

    Args:
        path: what to audit.
        reader: how its rows are read; a run's are known.
        executor: judges (data/executor.py).

    Raises:
        InputError: there is nothing to audit.
        MissingExtraError: it takes a library that is absent.
    """
    if executor.cache is not None and reader.images is not None:
        raise InputError("films are opened anew each time: use --keep without --images", field="--keep")
    return _of_run(path, executor) if is_run(path) else _of_rows(path, reader, executor)


def count(path: Path) -> int | None:
    """How many rows there will be, as far as that is quick to know."""
    if not is_run(path):
        return rows_at(path)
    with RunFolder.read(path) as run:
        return len({candidate.study_id for candidate, _ in run.judged()})


def is_run(path: Path) -> bool:
    """Whether a run folder lies there."""
    return (path / "manifest.json").is_file() and (path / "journal.db").is_file()


def _of_rows(path: Path, reader: Reader, executor: Executor) -> Iterator[Item | RowProblem]:
    first: Form | None = None
    for raw, found in executor.map_rows(partial(_judged, reader), rows(path), _content):
        if isinstance(found, Failed):
            yield RowProblem(row=raw.row, file=raw.file or None, message=f"it could not be judged: {found.reason}")
            continue
        if isinstance(found, RowProblem):
            yield found
            continue
        item, form = found
        first = first or form
        if form != first:
            message = f"is in the form '{form}', the rows before it in the form '{first}'"
            yield RowProblem(row=raw.row, file=raw.file or None, id=item.id, message=message, audited=True)
        yield item


def _content(raw: Raw) -> str:
    return json.dumps([raw.row, raw.file, raw.split, raw.problem, raw.fields], default=str)


def _judged(reader: Reader, raws: Sequence[Raw]) -> list[tuple[Item, Form] | RowProblem]:
    return [_judge(raw, reader) for raw in raws]


def _judge(raw: Raw, reader: Reader) -> tuple[Item, Form] | RowProblem:
    file = raw.file or None
    if raw.fields is None:
        return RowProblem(row=raw.row, file=file, message=raw.problem)
    try:
        row, form = read_row(raw.fields, f"{raw.file} row {raw.row}".strip(), reader.columns)
    except BadRow as error:
        given = raw.fields.get("id")
        name = str(given)[:100].encode(errors="replace").decode() if isinstance(given, str | int) else None
        return RowProblem(row=raw.row, file=file, id=name, field=error.field, message=error.message)
    study, candidate, verdict, layout = judge_row(row, reader)
    born = [*report_faults(row.reference_report or (candidate.trace.report if candidate.trace else None))]
    if reader.images is not None:
        if not reader.images.is_dir():  # that one film is missing is the row's fault
            raise InputError("there is no such folder", file=reader.images)
        born += image_faults(raw.fields, reader.images)
    if born:
        verdict = verdict.model_copy(update={"findings": (*verdict.findings, *born)})
    found = measured(candidate.trace, study.report)
    split = row.split or raw.split
    return Item(row.id, study, candidate, verdict, found, row.has_reference, row.patient_id, split, layout), form


def _of_run(path: Path, executor: Executor) -> Iterator[Item | RowProblem]:
    with RunFolder.read(path) as run:
        work = partial(_judged_again, *options_of(run.manifest.recipe))
        found = executor.map_rows(work, _deciding(run), content)
        for row, ((study, *_), item) in enumerate(found, 1):
            if isinstance(item, Failed):
                yield RowProblem(row=row, id=study.id, message=f"it could not be judged: {item.reason}")
            else:
                yield item


def _deciding(run: RunFolder) -> Iterator[Stored]:
    """Of each study, the candidate that decided it; its images by their whole paths."""
    deciding: dict[str, str] = {}
    best: dict[str, int] = {}
    for candidate, verdict in run.judged():
        place = _ORDER.index(verdict.outcome)
        if place <= best.get(candidate.study_id, place) and best.get(candidate.study_id) != 0:
            deciding[candidate.study_id], best[candidate.study_id] = candidate.key, place
    keys = set(deciding.values())
    for candidate, verdict in run.judged():
        if candidate.key in keys:
            yield located(run.studies, run.studies.get(candidate.study_id)), candidate, verdict


def _judged_again(
    severities: Mapping[str, Weight], doubts: Doubts, rules: Sequence[Plugin], stored: Sequence[Stored]
) -> list[Item]:
    check_files(rules)
    own = [rule.module for rule in rules]
    return [_of_verdict(*one, judge_again(*one, severities, doubts, own)) for one in stored]


def _of_verdict(study: Study, candidate: Candidate, _: Verdict, now: Verdict) -> Item:
    patient = study.patient_id if study.patient_id != study.id else None
    layout = candidate.trace.layout if candidate.trace else "unreadable"
    found = measured(candidate.trace, study.report)
    return Item(study.id, study, candidate, now, found, True, patient, study.split, layout)
