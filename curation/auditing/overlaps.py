"""Overlaps: the same trace for different studies, and the same study, report, image or patient in two splits.

Ids that only differ in how they were written down (a mark, blanks, `.0`) are one. Likeness is by sketch (sketch.py).
Reports of fewer than 20 words are left out: normal ones repeat by nature. It holds a sketch, an id and a few short
numbers for each row.
"""

from array import array
from typing import NamedTuple

from ...data.ids import patient_key, plain_id
from ...schemas.study import Study
from .sketch import ALIKE, Sketch, Sketches, likeness

_NAMED = 20  # examples that are named

Splits = tuple[str, ...]


class Alike(NamedTuple):
    """Traces that are nearly the same."""

    ids: tuple[str, ...]  # the first of them
    traces: int
    other_reports: bool  # whether they stand before reports that differ


class Crossing(NamedTuple):
    """Something that stands in two splits."""

    what: str  # a patient, a study's id, an image's hash, or the first ids of a group of like reports
    splits: tuple[str, ...]


class Overlaps:
    """Collects rows."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.traces = Sketches()
        self.reports = Sketches()
        self.splits: list[str | None] = []
        self._long = array("b")  # whether a row's report is long enough to be compared
        self._names: dict[str, dict[str, Splits]] = {kind: {} for kind in ("patients", "studies", "images")}
        self._known: dict[Splits, Splits] = {}  # one tuple for each combination, however many names have it
        self.patients: set[str] = set()

    def add(
        self, study: Study, patient: str | None, split: str | None, trace: Sketch, report: Sketch, *, long: bool
    ) -> None:
        """One more row, with the sketches of its steps and of its reference, and whether that is long."""
        self.ids.append(study.id)
        self.splits.append(split)
        self.traces.add(trace)
        self.reports.add(report)
        self._long.append(long)
        known = None if patient is None else patient_key(patient)
        if known is not None:
            self.patients.add(known)
        if split is None:
            return
        self._note("studies", plain_id(study.id), split)
        if known is not None:
            self._note("patients", known, split)
        for image in study.images:
            self._note("images", image.sha256, split)

    def _note(self, kind: str, name: str, split: str) -> None:
        before = self._names[kind].get(name, ())
        if split not in before:
            now = tuple(sorted((*before, split)))
            self._names[kind][name] = self._known.setdefault(now, now)

    def extend(self, other: "Overlaps") -> None:
        """The rows of another dataset, whose name stands for its split."""
        self.ids += other.ids
        self.splits += other.splits
        self._long.extend(other._long)
        self.traces.extend(other.traces)
        self.reports.extend(other.reports)

    def alike(self) -> list[Alike]:
        """Groups of traces that are nearly the same, the largest first."""
        reports = self.reports.matrix
        return [
            Alike(
                tuple(self.ids[at] for at in group[:_NAMED]),
                len(group),
                any(likeness(reports[group[0]], reports[at]) < ALIKE for at in group[1:]),
            )
            for group in self.traces.groups()
        ]

    def crossings(self) -> dict[str, list[Crossing]]:
        """What stands in more than one split, by kind: patients, studies, images, reports (nearly the words)."""
        found = {
            kind: [Crossing(name, splits) for name, splits in names.items() if len(splits) > 1]
            for kind, names in self._names.items()
        }
        found["reports"] = []
        if len({split for split in self.splits if split is not None}) > 1:
            for group in self.long_report_groups():
                members = [at for at in group if self.splits[at] is not None]
                splits = sorted({str(self.splits[at]) for at in members})
                if len(splits) > 1:
                    found["reports"].append(Crossing(", ".join(self.ids[at] for at in members[:_NAMED]), tuple(splits)))
        return found

    def long_report_groups(self) -> list[list[int]]:
        """Rows whose reports are nearly the same, short reports left out."""
        groups = ([at for at in group if self._long[at]] for group in self.reports.groups())
        return [group for group in groups if len(group) > 1]
