"""Candidate: one attempt by an author, teacher or student, at one study."""

from typing import Literal

from pydantic import Field

from .base import Noun, Record, Sha256
from .trace import Trace

Author = Literal["teacher", "student", "reader"]  # reader: a person rewrote steps of a candidate


class Usage(Noun):
    """Tokens as the provider counted them; none where it did not say."""

    input_tokens: int | None = Field(None, description="Of the request.")
    output_tokens: int | None = Field(None, description="Of the answer, reasoning included.")
    reasoning_tokens: int | None = Field(None, description="Of output_tokens: those of reasoning.")
    cached_tokens: int | None = Field(None, description="Of input_tokens: those that the provider had in its cache.")


class Candidate(Record):
    """The whole answer, and the request it answers."""

    key: Sha256 = Field(description="The request key: the same key is never paid for twice.")
    study_id: str = Field(description="The study that was asked about.")
    author: Author = Field(description="Who wrote it; reader: a person rewrote steps of another candidate.")
    teacher: str = Field(description="The author's name in the recipe.")
    model: str = Field(description="Model id; for a student, its base and adapter.")
    attempt: int = Field(1, ge=1, description="1, or more for a repair.")
    parent: Sha256 | None = Field(None, description="The candidate that this one repairs.")
    sample: int = Field(0, ge=0, description="Index among several answers to the same question.")
    prompt_id: str = Field(description="Name and version of the prompt, e.g. informed@1.")
    prompt_sha256: Sha256 = Field(description="Of the prompt as sent, with everything filled in.")
    saw_image: bool = Field(description="Whether an image went with the request.")
    writes_report: bool = Field(
        description="Whether the author was to write the report as well; if not, we append the reference."
    )
    text: str = Field(description="The answer's text, as it came.")
    reasoning: str | None = Field(None, description="Thinking or its summary, verbatim; never steps.")
    trace: Trace | None = Field(None, description="The text, parsed; none if it could not be read.")
    parse_error: str | None = Field(None, description="Why the text could not be read as a trace.")
    usage: Usage = Usage()
    cost_usd: float | None = Field(None, description="None when a price is unknown, never 0 for that.")
    stop_reason: str | None = Field(None, description="Why the author stopped, in the provider's word.")
    label: str | None = Field(None, description="What a scripted author did on purpose, e.g. nine_steps.")
    started_at: float = Field(description="Seconds since the epoch, UTC.")
    seconds: float = Field(ge=0, description="From request to the last byte.")
