"""Items: what lies at a path, row by row, each with its verdict; or why a row could not be judged.

A row without a reference of its own is judged against the report in its text. Of a run, the candidate that decided
each study counts: the accepted one, else the last in doubt, else the last. Nothing is held but the row at hand.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...data.foreign import Raw, rows
from ...data.run import RunFolder
from ...schemas.base import Noun
from ...schemas.candidate import Candidate
from ...schemas.study import Study
from ...schemas.verdict import Outcome, Verdict
from ...validators.check import as_pair
from ...validators.gate import judge
from ..doubts import doubts_of
from ..pages.review import located
from ..recheck import judge_again
from .rows import BadRow, Form, read_row

_ORDER: tuple[Outcome, ...] = ("accept", "doubt", "reject")


def printable(text: str) -> str:
    """A text for a terminal: names may hold what moves a cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


class Problem(Noun):
    """A row that has something wrong with it besides its trace."""

    row: int
    file: str | None = None
    id: str | None = None
    field: str | None = None
    message: str
    audited: bool = False

    @property
    def line(self) -> str:
        """The same for people."""
        what = f"{self.field}: {self.message}" if self.field else self.message
        place = f"{self.file}, row {self.row}" if self.file else f"row {self.row}"
        said = f"{place} {'is odd, and was audited' if self.audited else 'was not audited'}: {what}"
        return printable(said)


class Item(NamedTuple):
    """A judged row."""

    id: str
    study: Study
    candidate: Candidate
    verdict: Verdict
    has_reference: bool = True
    patient: str | None = None  # none where nobody said
    split: str | None = None


def items(path: Path) -> Iterator[Item | Problem]:
    """Judge every row at a path.

    Raises:
        InputError: there is nothing to audit.
        MissingExtraError: it takes a library that is absent.
    """
    return _of_run(path) if is_run(path) else _of_rows(path)


def is_run(path: Path) -> bool:
    """Whether a run folder lies there."""
    return (path / "manifest.json").is_file() and (path / "journal.db").is_file()


def _of_rows(path: Path) -> Iterator[Item | Problem]:
    first: Form | None = None
    for raw in rows(path):
        found = _read(raw)
        if isinstance(found, Problem):
            yield found
            continue
        item, form = found
        first = first or form
        if form != first:
            message = f"is in the form '{form}', the rows before it in the form '{first}'"
            yield Problem(row=raw.row, file=raw.file or None, id=item.id, message=message, audited=True)
        yield item


def _read(raw: Raw) -> tuple[Item, Form] | Problem:
    file = raw.file or None
    if raw.fields is None:
        return Problem(row=raw.row, file=file, message=raw.problem)
    try:
        row, form = read_row(raw.fields, f"{raw.file} row {raw.row}".strip())
    except BadRow as error:
        given = raw.fields.get("id")
        name = str(given)[:100].encode(errors="replace").decode() if isinstance(given, str | int) else None
        return Problem(row=raw.row, file=file, id=name, field=error.field, message=error.message)
    study, candidate = as_pair(
        row.text,
        row.id,
        row.reference_report,
        patient_id=row.patient_id or None,
        views=row.views,
        labels=row.labels,
        has_prior=row.has_prior,
        author=row.author,
    )
    verdict = judge(study, candidate)
    return Item(row.id, study, candidate, verdict, row.has_reference, row.patient_id, row.split or raw.split), form


def _of_run(path: Path) -> Iterator[Item]:
    with RunFolder.read(path) as run:
        deciding: dict[str, str] = {}
        best: dict[str, int] = {}
        for candidate, verdict in run.judged():
            place = _ORDER.index(verdict.outcome)
            if place <= best.get(candidate.study_id, place) and best.get(candidate.study_id) != 0:
                deciding[candidate.study_id], best[candidate.study_id] = candidate.key, place
        severities, doubts = run.manifest.recipe.get("severities", {}), doubts_of(run.manifest.recipe)
        keys = set(deciding.values())
        for candidate, verdict in run.judged():
            if candidate.key in keys:
                study = run.studies.get(candidate.study_id)
                patient = study.patient_id if study.patient_id != study.id else None
                now = judge_again(study, candidate, verdict, severities, doubts)
                yield Item(study.id, located(run.studies, study), candidate, now, True, patient, study.split)
