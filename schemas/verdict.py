"""Verdict: what the rules found in one candidate."""

from typing import Literal

from pydantic import Field

from .base import Noun, Record

Severity = Literal["error", "warning"]


class Finding(Noun):
    """One thing that a rule found."""

    rule: str = Field(description="The rule's module name, e.g. structure.")
    code: str = Field(description="snake_case kind, counted in tables, e.g. step_count.")
    severity: Severity = Field(description="An error rejects; a warning is shown.")
    step: int | None = Field(None, description="The step, counted by position from 1; none for the whole text.")
    span: tuple[int, int] | None = Field(
        None, description="Offsets [start, end) in that step's text, or in the candidate's text if step is none."
    )
    message: str = Field(description="Written so that the author can act on it.")
    evidence: str | None = Field(None, description="The sentence of the reference that decides.")


class Verdict(Record):
    """All findings on one candidate."""

    findings: tuple[Finding, ...] = ()

    @property
    def accepted(self) -> bool:
        """No finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the errors, each once, in order."""
        return tuple(dict.fromkeys(f.code for f in self.findings if f.severity == "error"))
