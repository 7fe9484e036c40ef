"""Study: the images of one examination and the report that was written about them.

A study exists only if its reference is not empty and every image it names was decoded; anything else
is a rejected source row with a reason. After ingest no byte of `report` changes.
"""

import hashlib
from typing import Literal

from pydantic import Field, field_validator

from .base import Noun, Record, Sha256, Status

DataClass = Literal["public", "restricted"]
ReportForm = Literal["four-header", "verbatim"]


class ImageRef(Noun):
    """One image file, decoded once at ingest."""

    path: str = Field(description="Absolute, or relative to the folder of the study store.")
    view: str = Field("unknown", description="PA, AP, lateral, LL, ... as the source names it; else unknown.")
    sha256: Sha256 = Field(description="Of the file's bytes.")
    width: int = Field(gt=0, description="Pixels.")
    height: int = Field(gt=0, description="Pixels.")
    original: str | None = Field(
        None,
        description="The file that `path` was converted from, e.g. a DICOM film of 16 bits.",
    )


class Sections(Noun):
    """The parts of a report, each the source's own text, or none."""

    technique: str | None = Field(None, description="How the images were taken.")
    view: str | None = Field(None, description="Which views were taken.")
    findings: str | None = Field(None, description="What is seen.")
    impression: str | None = Field(None, description="The conclusion.")
    indication: str | None = Field(None, description="Why the examination was done.")
    comparison: str | None = Field(None, description="Earlier examinations that were compared.")
    history: str | None = Field(None, description="The patient's history.")


class Study(Record):
    """One examination: images, the reference report, and where both came from."""

    id: str = Field(min_length=1, description="'<source>/<native id>', unique.")
    patient_id: str = Field(min_length=1, description="Groups studies of one patient; never leaves the machine.")
    source: str = Field(min_length=1, description="The source's name, e.g. open-i.")
    data_class: DataClass = Field(description="restricted data goes only where the policy allows.")
    images: tuple[ImageRef, ...] = Field((), description="All views; empty for a text-only study.")
    views: tuple[str, ...] = Field((), description="The view inventory, from metadata or as declared.")
    report: str = Field(description="The reference, byte for byte.")
    report_form: ReportForm = Field(description="How `report` was made from the source, once, at ingest.")
    sections: Sections = Sections()
    split: str | None = Field(None, description="The source's own split, if it has one.")
    labels: dict[str, Status] = Field(default_factory=dict, description="Finding labels that came with the source.")
    has_prior: bool = Field(False, description="A prior image or report was supplied to the writer.")

    @field_validator("report")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the reference report is empty")
        return value

    @property
    def report_sha256(self) -> str:
        """Hash of the reference's UTF-8 bytes."""
        return hashlib.sha256(self.report.encode()).hexdigest()


class RejectedRow(Record):
    """A source row that did not become a Study, and why."""

    source: str = Field(description="The source's name.")
    row: str = Field(description="Where it stood: file and row, or the native id.")
    reason: str = Field(description="A short code, counted in tables: unreadable_image, empty_report, ...")
    detail: str = Field("", description="What was seen, and what to do about it.")
