"""An evaluation: figures of a student, with intervals, and of other students on the same studies (evaluation.json).

It holds figures and names, and no text of a study. `tenstep evaluate` writes it; model cards and pages show it.
"""

from pydantic import Field

from .base import Noun, Record


class Value(Noun):
    """A number with its interval."""

    value: float = Field(description="The figure.")
    low: float | None = Field(None, description="Of 95 %, by patient; none for a single patient.")
    high: float | None = Field(None, description="As low.")


class OtherFigure(Value):
    """The same number of another student, and how far the two differ."""

    difference: float = Field(description="The student's value less this one.")
    difference_low: float | None = Field(None, description="Of 95 %, both students drawn for the same patients.")
    difference_high: float | None = Field(None, description="As difference_low.")
    p: float = Field(description="Approximate randomisation by patient, two-sided.")


class Figure(Value):
    """One number, and everything needed to know what it is."""

    part: str = Field(description="What was measured: report, whole output, a section, a kind of studies.")
    metric: str = Field(description="Name of the metric.")
    label: str | None = Field(None, description="The finding that it is about; none for a figure over all.")
    implementation: str = Field(description="What computed it.")
    version: str = Field(description="Of the implementation.")
    preprocessing: str = Field(description="Of the texts, before they are compared.")
    others: tuple[OtherFigure, ...] = Field((), description="In the order of the evaluation's other students.")

    @property
    def each(self) -> tuple[Value, ...]:
        """Of all students; the one that the others are compared with comes last, as base, stage 1, stage 2."""
        return (*self.others, self)


class EvaluatedStudent(Noun):
    """Who was evaluated."""

    name: str = Field(description="Of the run or the file.")
    model: str | None = Field(None, description="Model id.")
    model_sha256: str | None = Field(None, description="Of its weights.")
    temperature: float | None = Field(None, description="Of the sampling; none for a file.")
    without_report: int = Field(0, description="Answers without a readable report.")
    not_asked: int = Field(0, description="Answers that were not given, of studies without an image for instance.")


class Evaluation(Record):
    """The result."""

    student: EvaluatedStudent = Field(description="The one that the others are compared with.")
    others: tuple[EvaluatedStudent, ...] = Field((), description="Students of --against.")
    pairs: int = Field(description="Studies that were compared.")
    patients: int = Field(description="Patients of these studies.")
    sources: tuple[str, ...] = Field((), description="Where the studies come from; empty if that is not known.")
    resamples: int = Field(description="Draws of patients for the intervals.")
    seed: int = Field(description="Of these draws.")
    figures: tuple[Figure, ...] = Field(description="Every figure.")
    notes: tuple[str, ...] = Field((), description="What to know when reading them.")
    code_version: str = Field(description="Version of tenstep.")
