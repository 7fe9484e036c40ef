"""Trace: what an author wrote, parsed but not judged. It may be malformed; rules judge."""

from typing import Literal

from pydantic import Field

from .base import Noun

STEPS = 10
WrittenLayout = Literal["plain", "tagged"]  # of what we write; we read more
Layout = Literal[WrittenLayout, "json"]


class Step(Noun):
    """One numbered step; its text is one line (wrapped lines are joined with a space)."""

    number: int = Field(description="As written, right or wrong.")
    text: str = Field(description="Without the number.")


class Trace(Noun):
    """Steps, the report if the author wrote one, and whatever else stood around them."""

    steps: tuple[Step, ...] = ()
    report: str | None = Field(None, description="As the author wrote it; none if no report was written.")
    layout: Layout = Field("plain", description="How the steps were written.")
    preamble: str = Field("", description="Text before step 1.")
    between: str = Field("", description="Tagged layout: text between the steps' end and the report's tag.")
    trailer: str = Field("", description="Tagged layout: text after the report's end tag.")
    escaped: bool = Field(False, description="Markdown escapes had to be undone to read the tags.")

    @property
    def texts(self) -> tuple[str, ...]:
        """The steps' texts in order."""
        return tuple(step.text for step in self.steps)
