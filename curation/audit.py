"""Audit: judge the reasoning of any dataset by the rules that accept ours. It changes nothing and asks nobody.

A row without `reference_report` is judged against the report in its own text: whether that report is verbatim
cannot be said then, and the audit says so. A row that cannot be read is named and counted; the rest is audited.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError, field_validator

from ..data.lines import json_lines
from ..data.run import RunFolder
from ..schemas.base import Noun, Status
from ..schemas.candidate import Author, Candidate
from ..schemas.errors import InputError
from ..schemas.study import Study
from ..schemas.verdict import Verdict
from ..validators.check import as_pair
from ..validators.gate import judge


class Row(Noun, extra="ignore"):
    """One line of a foreign dataset; other keys are left alone."""

    id: str = Field(min_length=1)
    text: str = Field(description="The steps, then the report.")
    reference_report: str | None = None
    views: tuple[str, ...] = ()
    labels: dict[str, Status] = Field(default_factory=dict)
    patient_id: str | None = None
    has_prior: bool = False
    author: Author = "teacher"

    @field_validator("id", "patient_id", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Unreadable(Noun):
    """A row that could not be audited."""

    row: int
    field: str | None = None
    message: str


class Item(NamedTuple):
    """A judged row."""

    id: str
    study: Study
    candidate: Candidate
    verdict: Verdict


class Audit:
    """The result: items, and what could not be audited."""

    def __init__(self, items: list[Item], unreadable: list[Unreadable], without_reference: int) -> None:
        self.items = items
        self.unreadable = unreadable
        self.without_reference = without_reference

    @property
    def accepted(self) -> int:
        """Rows without an error."""
        return sum(item.verdict.accepted for item in self.items)

    @property
    def codes(self) -> dict[str, int]:
        """Findings by code, most frequent first."""
        return dict(Counter(f.code for item in self.items for f in item.verdict.findings).most_common())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        notes = [
            f"row {u.row} was not audited: {f'{u.field}: ' if u.field else ''}{u.message}" for u in self.unreadable
        ]
        if self.without_reference:
            notes.append(
                f"{self.without_reference} of {len(self.items)} rows have no reference_report: they were judged "
                "against their own report, and whether that is verbatim was not checked"
            )
        return tuple(notes)

    def as_dict(self) -> dict[str, Any]:
        """The contract of `tenstep audit --json`."""
        return {
            "rows": len(self.items),
            "accepted": self.accepted,
            "codes": self.codes,
            "items": [
                {
                    "id": item.id,
                    "accepted": item.verdict.accepted,
                    "findings": [
                        f.model_dump(include={"rule", "code", "severity", "step", "message"})
                        for f in item.verdict.findings
                    ],
                }
                for item in self.items
            ],
            "without_reference": self.without_reference,
            "unreadable": [u.model_dump() for u in self.unreadable],
        }


def audit(path: Path) -> Audit:
    """Audit a JSONL file or a run folder.

    Raises:
        InputError: there is nothing to audit at this path.
    """
    if path.is_dir():
        return Audit(list(_of_run(path)), [], 0)
    items: list[Item] = []
    unreadable: list[Unreadable] = []
    without = 0
    for line in json_lines(path):
        if line.found is None:
            unreadable.append(Unreadable(row=line.row, message=line.problem))
            continue
        try:
            row = Row.model_validate(line.found)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            unreadable.append(Unreadable(row=line.row, field=field, message=first["msg"]))
            continue
        items.append(_judged(row))
        without += not (row.reference_report or "").strip()
    if not items and not unreadable:
        raise InputError("holds no rows; one JSON object a line is wanted, with id and text", file=path)
    return Audit(items, unreadable, without)


def _judged(row: Row) -> Item:
    study, candidate = as_pair(
        row.text,
        row.id,
        row.reference_report,
        patient_id=row.patient_id,
        views=row.views,
        labels=row.labels,
        has_prior=row.has_prior,
        author=row.author,
    )
    return Item(row.id, study, candidate, judge(study, candidate))


def _of_run(path: Path) -> Iterator[Item]:
    """The candidate that decided each study: the accepted one, else the last."""
    with RunFolder.read(path) as run:
        deciding: dict[str, Candidate] = {}
        accepted: set[str] = set()
        for candidate, verdict in run.judged():
            if candidate.study_id not in accepted:
                deciding[candidate.study_id] = candidate
                if verdict.accepted:
                    accepted.add(candidate.study_id)
        severities = run.manifest.recipe.get("severities", {})
        for study_id, candidate in deciding.items():
            study = run.studies.get(study_id)
            yield Item(study_id, study, candidate, judge(study, candidate, severities))
