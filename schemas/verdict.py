"""Verdict: what was found in one candidate, and whether that accepts it, rejects it or leaves a doubt."""

from collections.abc import Collection
from typing import Literal, get_args

from pydantic import Field

from .base import Noun, Record, Sha256

Severity = Literal["error", "doubt", "warning"]
Weight = Literal["error", "doubt", "warning", "off"]  # what a recipe may give a code; off drops its findings
WEIGHTS: tuple[Weight, ...] = get_args(Weight)
Outcome = Literal["accept", "doubt", "reject"]
Doubts = Literal["verify", "hold", "accept", "reject"]  # what a recipe says shall become of a doubt


class Finding(Noun):
    """One thing that a rule found."""

    rule: str = Field(description="The rule's module name, e.g. structure.")
    code: str = Field(description="snake_case kind, counted in tables, e.g. step_count.")
    severity: Severity = Field(description="An error rejects; a doubt must be resolved first; a warning is shown.")
    step: int | None = Field(None, description="The step, counted by position from 1; none for the whole text.")
    span: tuple[int, int] | None = Field(
        None, description="Offsets [start, end) in that step's text, or in the candidate's text if step is none."
    )
    message: str = Field(description="Written so that the author can act on it.")
    evidence: str | None = Field(None, description="The sentence of the reference that decides.")


class Resolution(Noun):
    """Who settled what the rules left open."""

    by: Literal["verifier", "reader", "recipe"] = Field(description="recipe: its `doubts` says accept or reject.")
    outcome: Literal["accept", "reject"] = Field(description="How the doubts were settled.")
    name: str | None = Field(None, description="The verifier as the recipe calls it, or the reader.")
    key: Sha256 | None = Field(None, description="The verifier's request, in the journal that it is kept in.")
    note: str | None = Field(None, description="Why, in the reader's words.")


def outcome_of(severities: Collection[str], by: str | None, settled: Literal["accept", "reject"] | None) -> Outcome:
    """A reader's word counts before all else, then errors; a doubt stays one until it is resolved.

    Args:
        severities: of the findings.
        by: who resolved the doubts; none if they are open.
        settled: how.
    """
    if by == "reader" and settled is not None:
        return settled
    if "error" in severities:
        return "reject"
    if "doubt" in severities:
        return settled or "doubt"
    return "accept"


class Verdict(Record):
    """All findings on one candidate, and who resolved the doubts among them."""

    findings: tuple[Finding, ...] = ()
    resolution: Resolution | None = Field(None, description="None in verdicts from before there were doubts.")

    @property
    def outcome(self) -> Outcome:
        """See outcome_of."""
        severities = {finding.severity for finding in self.findings}
        resolution = self.resolution
        if resolution is None:
            return outcome_of(severities, None, None)
        return outcome_of(severities, resolution.by, resolution.outcome)

    @property
    def accepted(self) -> bool:
        """The outcome is accept."""
        return self.outcome == "accept"

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the errors, or of the doubts where there is no error; each once, in order."""
        worst = "error" if any(f.severity == "error" for f in self.findings) else "doubt"
        return tuple(dict.fromkeys(f.code for f in self.findings if f.severity == worst))
