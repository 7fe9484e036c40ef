"""A batch: what one part of a source came to, before it is in a store. A worker makes it, the store's writer takes it.

A batch knows which of its own studies are the first of their id, and keeps no warning or trace of the others.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ...schemas.study import DataClass, RejectedRow, ReportForm, Study
from ..source import Marks, Row, RowsRead, SourceWarning

Counts = dict[str, dict[str, int]]


class Done(NamedTuple):
    """A batch whose studies have been written to a file; small enough to be sent between processes."""

    number: int
    studies: tuple[tuple[str, str], ...]  # ids and patients, in the file's order
    rejected: tuple[str, ...]  # JSON lines
    reasons: dict[str, int]
    beside: tuple[tuple[str, str, str, str], ...]  # warnings or traces; owner's id; code; JSON line
    rows: int  # of the source
    counts: Counts
    classes: tuple[DataClass, ...]
    form: ReportForm | None


class Batch:
    """Rows of a source, kept until they are written."""

    def __init__(self, patient_of: Callable[[str], str | None] = lambda _: None) -> None:
        """`patient_of` tells the patient of a study that is in the store already."""
        self._patient_of = patient_of
        self._place: dict[str, int] = {}
        self._patients: dict[str, str] = {}
        self._rows: int | None = None
        self.studies: list[Study] = []
        self.derived: list[tuple[str, ...]] = []
        self.rejected: list[RejectedRow] = []
        self.beside: list[tuple[str, str, str, str]] = []

    def put(self, row: Row) -> bool:
        """Take whatever a source yields; False if it was a study that is refused, or belongs to one."""
        if isinstance(row, Study):
            known = self._patients.get(row.id) or self._patient_of(row.id)
            if known is not None:
                refused = taken(row.source, row.id, row.patient_id, known)
                self.rejected.append(refused)
                return False
            self._place[row.id] = len(self.studies)
            self._patients[row.id] = row.patient_id
            self.studies.append(row)
            self.derived.append(())
            return True
        if isinstance(row, RejectedRow):
            self.rejected.append(row)
            return True
        if isinstance(row, RowsRead):
            self._rows = (self._rows or 0) + row.rows
            return True
        owner = row.study_id if isinstance(row, Marks | SourceWarning) else row.id
        # a refused study's rows follow it, and would be taken for those of the first of that id
        if owner not in self._place or (self.rejected and self.rejected[-1].row == owner):
            return False
        if isinstance(row, Marks):
            self.derived[self._place[owner]] = row.derived
        else:
            part, code = ("warnings", row.code) if isinstance(row, SourceWarning) else ("traces", "")
            self.beside.append((part, owner, code, row.model_dump_json()))
        return True

    def pop(self) -> Study:
        """Give the last study back, of which nothing but itself has been put."""
        study = self.studies.pop()
        self.derived.pop()
        del self._place[study.id], self._patients[study.id]
        return study

    def done(self, number: int) -> Done:
        """The batch without its studies' text."""
        return Done(
            number=number,
            studies=tuple((study.id, study.patient_id) for study in self.studies),
            rejected=tuple(row.model_dump_json() for row in self.rejected),
            reasons=dict(Counter(row.reason for row in self.rejected)),
            beside=tuple(self.beside),
            rows=len(self.studies) + len(self.rejected) if self._rows is None else self._rows,
            counts=count(self.studies, self.derived),
            classes=tuple({study.data_class for study in self.studies}),
            form=self.studies[-1].report_form if self.studies else None,
        )

    def write(self, path: Path) -> None:
        """Write the studies, if there are any."""
        from . import parquet

        if self.studies:
            parquet.write(parquet.encode(self.studies, self.derived), path)


def taken(source: str, study_id: str, patient: str, known: str) -> RejectedRow:
    """Why a study cannot have the id that a study of the patient `known` has."""
    if patient in (known, study_id):
        reason, detail = "duplicate_id", f"the id '{study_id}' is taken by an earlier row; ids must be unique"
    else:
        reason = "study_of_two_patients"
        detail = f"'{study_id}' is a study of '{known}' by an earlier row, and of '{patient}' by this one"
    return RejectedRow(source=source, row=study_id, reason=reason, detail=detail)


def count(studies: Iterable[Study], derived: Iterable[Iterable[str]]) -> Counts:
    """What a table of studies should say of them: studies by view, section and split, tokens, and what is derived."""
    views: Counter[str] = Counter()
    sections: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    images = tokens = longest = 0
    for study in studies:
        for view in set(study.views) or ("unknown",):
            views[view] += 1
        for name, text in study.sections:
            if text:
                sections[name] += 1
        splits[study.split or "none"] += 1
        images += len(study.images)
        words = len(study.report.split())
        tokens += words
        longest = max(longest, words)
    for one in derived:
        for mark in one:
            marks[mark] += 1
    return {
        "views": dict(views),
        "sections": dict(sections),
        "splits": dict(splits),
        "derived": dict(marks),
        "sums": {"images": images, "tokens": tokens},
        "largest": {"tokens": longest},
    }


def add_counts(one: Counts, other: Counts) -> Counts:
    """Both together."""
    total: Counts = {}
    for name in {**one, **other}:
        left, right = one.get(name, {}), other.get(name, {})
        join = max if name == "largest" else int.__add__
        total[name] = {key: join(left.get(key, 0), right.get(key, 0)) for key in {**left, **right}}
    return total
