"""Reading: what one person decided about one candidate. It is never changed; a later revision counts instead."""

from typing import Literal

from pydantic import Field

from .base import Noun, Record, Sha256

Decision = Literal["accept", "reject", "unsure"]
Kind = Literal["reading", "adjudication"]


class StepReading(Noun):
    """What a reader thinks of one step."""

    step: int = Field(ge=1, description="By position, from 1.")
    mark: Literal["good", "wrong", "unneeded"] | None = Field(
        None, description="The reader's mark; none if the step was only rewritten."
    )
    text: str | None = Field(None, description="The step as the reader rewrote it; none if it was left as it is.")


class Reading(Record):
    """One decision of one reader about one candidate."""

    key: Sha256 = Field(description="The candidate's request key.")
    study_id: str = Field(description="The candidate's study.")
    reader: str = Field(min_length=1, max_length=80, description="The reader's name, as given at the start.")
    kind: Kind = Field("reading", description="adjudication settles readings that differ.")
    revision: int = Field(ge=1, description="1 for the first decision of a reader on a candidate; the last one counts.")
    decision: Decision | None = Field(None, description="None withdraws the decision (undo).")
    codes: tuple[str, ...] = Field((), description="Reasons by rule code.")
    comment: str = Field("", max_length=4_000, description="Reasons in words.")
    steps: tuple[StepReading, ...] = Field((), description="Steps that were marked or rewritten.")
    reference: Literal["bad_report", "wrong_image"] | None = Field(None, description="A fault of the study itself.")
    edited: Sha256 | None = Field(None, description="The key of the candidate that the rewritten steps became.")
    saw_findings: bool = Field(description="Whether the rules' findings were shown before the decision.")
    saw_others: bool = Field(False, description="Whether other readers' decisions were shown before the decision.")
    queue: str = Field(description="The queue it was read from, with its seed, e.g. doubts or accepted:0.1@7.")
    seconds: float = Field(ge=0, description="From the film on the screen to the decision.")
    at: float = Field(description="Seconds since the epoch, UTC.")


class Preference(Record):
    """Which of two candidates for one study a reader finds better, not knowing whose they are."""

    study_id: str
    reader: str = Field(min_length=1, max_length=80)
    first: Sha256 = Field(description="The candidate of the first run.")
    second: Sha256 = Field(description="The candidate of the second run.")
    left: Literal["first", "second"] = Field(description="Which of them stood on the left.")
    better: Literal["first", "second", "tie"]
    comment: str = Field("", max_length=4_000)
    seconds: float = Field(ge=0)
    at: float = Field(description="Seconds since the epoch, UTC.")
