"""An evaluation: figures of a student, with intervals, and of other students on the same studies (evaluation.json).

It holds figures and names, and no text of a study. `tenstep evaluate` writes it; model cards and pages show it.
"""

from pydantic import Field

from .base import Noun, Record


class Value(Noun):
    """A number with its interval."""

    value: float
    low: float | None = Field(None, description="Of 95 %, by patient; none for a single patient.")
    high: float | None = None


class OtherFigure(Value):
    """The same number of another student, and how far the two differ."""

    difference: float = Field(description="The student's value less this one.")
    difference_low: float | None = Field(None, description="Of 95 %, both students drawn for the same patients.")
    difference_high: float | None = None
    p: float = Field(description="Approximate randomisation by patient, two-sided.")


class Figure(Value):
    """One number, and everything needed to know what it is."""

    part: str = Field(description="What was measured: report, whole output, a section, a kind of studies.")
    metric: str
    label: str | None = Field(None, description="The finding that it is about; none for a figure over all.")
    implementation: str
    version: str
    preprocessing: str
    others: tuple[OtherFigure, ...] = Field((), description="In the order of the evaluation's other students.")

    @property
    def each(self) -> tuple[Value, ...]:
        """Of all students; the one that the others are compared with comes last, as base, stage 1, stage 2."""
        return (*self.others, self)


class EvaluatedStudent(Noun):
    """Who was evaluated."""

    name: str
    model: str | None = None
    model_sha256: str | None = None
    temperature: float | None = None
    without_report: int = 0
    not_asked: int = 0


class Evaluation(Record):
    """The result."""

    student: EvaluatedStudent
    others: tuple[EvaluatedStudent, ...] = ()
    pairs: int
    patients: int
    sources: tuple[str, ...] = Field((), description="Where the studies come from; empty if that is not known.")
    resamples: int
    seed: int
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    code_version: str
