"""Example: an accepted trace in front of its reference. The only place where the two are joined."""

from typing import Self

from pydantic import Field, model_validator

from .base import Noun, Record, Sha256
from .candidate import Author
from .layout import write
from .study import Study
from .trace import STEPS, Trace, WrittenLayout
from .verdict import Resolution


class Provenance(Noun):
    """Where the steps came from."""

    key: Sha256 = Field(description="The candidate's request key.")
    author: Author = Field(description="Who wrote the steps.")
    teacher: str = Field(description="The author's name in the recipe.")
    model: str = Field(description="Model id; for a student, its base and adapter.")
    attempt: int = Field(ge=1, description="1, or more for a repair.")
    parent: Sha256 | None = Field(None, description="Key of the candidate that this one repairs.")
    prompt_id: str = Field(description="Name and version of the prompt.")
    prompt_sha256: Sha256 = Field(description="Of the prompt as sent.")
    saw_image: bool = Field(description="Whether an image went with the request.")
    cost_usd: float | None = Field(None, description="None when a price is unknown.")
    warnings: tuple[str, ...] = Field((), description="Codes of warnings that stand.")
    doubts: tuple[str, ...] = Field((), description="Codes of doubts that were resolved.")
    resolution: Resolution | None = Field(
        None, description="Who resolved them; a reader may have overruled errors too."
    )


class Example(Record):
    """Ten steps and the reference report, ready to train on."""

    study: Study
    trace: Trace
    layout: WrittenLayout = Field("plain", description="How the target is written.")
    provenance: Provenance

    @model_validator(mode="after")
    def _ten_steps(self) -> Self:
        numbers = [step.number for step in self.trace.steps]
        if numbers != list(range(1, STEPS + 1)):
            raise ValueError(f"an example has steps 1 to {STEPS}, not {numbers}")
        return self

    @property
    def target(self) -> str:
        """What the student learns to write: the ten steps, then the reference, byte for byte."""
        return write(self.trace.texts, self.study.report, self.layout)
