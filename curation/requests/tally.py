"""Tally: what has happened in one call of `tenstep curate`."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from .forecast import Forecast

Reason = Literal["data", "goal", "budget", "pilot", "stopped"]


@dataclass
class Tally:
    """Counts so far in this call; spend is the whole run's."""

    studies: int = 0
    passed_over: int = 0  # of them, those whose end an earlier call noted: no verdict was read
    accepted: int = 0
    doubted: int = 0
    rejected: int = 0
    repaired: int = 0
    asked: int = 0  # requests sent by this call
    recalled: int = 0  # verdicts read from the journal
    unknown: int = 0
    failed: int = 0
    waiting: int = 0  # for an answer in a file or a batch
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)  # why requests of this call brought nothing
    spend_usd: float | None = 0.0  # what answers say; None if a price is unknown
    uncertain_usd: float | None = 0.0  # what requests without an answer may have cost, at most
    codes: Counter[str] = field(default_factory=Counter)  # errors, or doubts, of the candidate that decided, by study
    reopened: int = 0  # verdicts that the end of this call changed, and on which a later one may act
    ended: Reason = "data"  # why this call asks no more
    budget: str = ""  # where the budget stands
    verified: Counter[str] = field(
        default_factory=Counter
    )  # traces that a verifier was asked about, by what came of it
    notes: tuple[str, ...] = ()  # what teachers have to say to whoever runs them
    forecast: Forecast | None = None  # after the pilot

    @property
    def all_failed(self) -> bool:
        """Whether requests were made and not one was answered, in this call or before."""
        nothing = not (self.recalled or self.accepted or self.doubted or self.rejected or self.refused)
        return nothing and bool(self.failed or self.unknown)

    def as_dict(self) -> dict[str, object]:
        """Requests and spend of this call, for machines."""
        return {name: getattr(self, name) for name in ("asked", "recalled", "waiting", "spend_usd", "ended")}

    def why(self) -> str:
        """The commonest reasons why requests brought nothing, in one line."""
        return "; ".join(f"{reason} ({n} times)" if n > 1 else reason for reason, n in self.reasons.most_common(3))
