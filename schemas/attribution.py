"""Attribution: how well a student knows one trace of a run, before and after it was trained (attribution.jsonl).

`tenstep attribute` writes it; review pages show it.
"""

from pydantic import Field

from .base import Noun
from .verdict import Outcome


class Attributed(Noun):
    """One trace. A loss is the mean over the target's tokens of -log p, in nats."""

    rank: int = Field(description="1 is the highest loss after training.")
    study: str = Field(description="The study's id.")
    key: str = Field(description="The candidate's request key.")
    before: float = Field(description="The base's loss.")
    after: float = Field(description="The student's loss.")
    outcome: Outcome | None = Field(None, description="The rules' verdict.")
    attempt: int | None = Field(None, description="1, or more for a repair.")
    author: str | None = Field(None, description="Who wrote it.")
    codes: tuple[str, ...] = Field((), description="Codes of its findings.")
    findings: tuple[str, ...] = Field((), description="Labels that the reference has.")
