"""Forecast: from a pilot to what a goal will need. It knows counts, and no requests."""

import math

from ...data.statistics import wilson
from ...schemas.base import Noun


class Forecast(Noun):
    """What a goal needs beyond what has been done; bounds are None where none can be given."""

    goal: int
    accepted: int
    studies: int
    acceptance: float
    acceptance_low: float
    acceptance_high: float
    calls: int | None
    calls_low: int
    calls_high: int | None
    usd: float | None
    usd_low: float | None
    usd_high: float | None
    studies_left: int
    reachable: int

    @property
    def costs_nothing(self) -> bool:
        """Whether it is known that going on costs no money."""
        return self.usd_low == 0 and self.usd_high in (0, None) and self.usd == 0

    @property
    def text(self) -> str:
        """One line for people."""
        rate = f"{self.acceptance:.0%} accepted (95 % interval {self.acceptance_low:.0%} to {self.acceptance_high:.0%})"
        calls = "more calls than can be said" if self.calls is None else f"about {self.calls} more calls"
        if self.usd_low is None:
            money = "at an unknown price"
        elif self.usd_high is None:
            money = f"${self.usd_low:.2f} or more"
        else:
            money = f"${self.usd_low:.2f} to ${self.usd_high:.2f}"
        line = f"{rate} after {self.studies} studies; {self.goal} accepted needs {calls}, {money}"
        if self.reachable < self.goal:
            line += f"; with the {self.studies_left} studies that are left it comes to about {self.reachable}"
        return line


def forecast(
    *, goal: int, accepted: int, studies: int, calls: int, usd: float | None, studies_left: int
) -> Forecast | None:
    """What the goal still needs; None when it has been reached, or nothing was tried.

    Args:
        goal: accepted traces that are wanted.
        accepted: of `studies`.
        studies: studies that came to an end.
        calls: requests that they took, repairs included.
        usd: what they cost; None if unknown.
        studies_left: studies that the data still holds.
    """
    missing = goal - accepted
    if missing <= 0 or studies == 0:
        return None
    rate = wilson(accepted, studies)
    per_study = calls / studies

    def needs(share: float) -> float | None:
        return missing / share if share > 0 else None

    def as_calls(needed: float | None) -> int | None:
        return None if needed is None else math.ceil(needed * per_study)

    def as_usd(needed: float | None) -> float | None:
        return 0.0 if usd == 0 else None if needed is None or usd is None else needed * usd / studies

    fewest = missing / rate.high
    return Forecast(
        goal=goal,
        accepted=accepted,
        studies=studies,
        acceptance=rate.share,
        acceptance_low=rate.low,
        acceptance_high=rate.high,
        calls=as_calls(needs(rate.share)),
        calls_low=math.ceil(fewest * per_study),
        calls_high=as_calls(needs(rate.low)),
        usd=as_usd(needs(rate.share)),
        usd_low=as_usd(fewest),
        usd_high=as_usd(needs(rate.low)),
        studies_left=studies_left,
        reachable=accepted + math.floor(studies_left * rate.share),
    )
