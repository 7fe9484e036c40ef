"""History: what a run's journal says that its requests used, and what those without an answer may have used."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...data.journal import Fact
from ...schemas.recipe import Budget
from ...schemas.run import State
from .budget import Amount, Ledger


@dataclass
class Flight:
    """One key: its last departure, and what has become of it."""

    teacher: str = ""
    amount: Amount = field(default_factory=lambda: Amount(0, None))  # what was set aside
    received: bool = False
    open: bool = False
    waits: bool = False  # its answer comes in a later pass or call
    departures: int = 0
    counted: bool = False  # its answer's use has been added
    uncertain: Amount | None = None  # what was counted as uncertain, since its answer could not be read


@dataclass
class History:
    """Sums over a journal."""

    calls: int = 0
    settled: Amount = field(default_factory=Amount)
    uncertain: Amount = field(default_factory=Amount)
    uncertain_calls: int = 0
    studies: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)  # teachers
    flights: dict[str, Flight] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> "History":
        """Go through a journal's events, in order."""
        history = cls()
        for fact in facts:
            history.add(fact)
        return history

    def add(self, fact: Fact) -> None:
        """One more event."""
        flight = self.flights.setdefault(fact.key, Flight())
        match fact.state:
            case State.PLANNED:
                flight.teacher = fact.teacher or ""
            case State.IN_FLIGHT:
                flight.teacher = fact.teacher or flight.teacher
                self.calls += 1
                flight.departures += 1
                self.studies.add(fact.study_id)
                flight.amount = Amount(fact.tokens or 0, fact.usd)
                flight.open, flight.received, flight.counted, flight.uncertain = True, False, False, None
                flight.waits = False
            case State.RECEIVED:
                flight.received = True
                self.answered.add(flight.teacher)
            case State.JUDGED if fact.candidate == "object":  # a verdict of `recheck` holds the candidate alone
                used = (fact.author_input_tokens or 0) + (fact.author_output_tokens or 0)
                self._settle(flight, Amount(used, fact.author_usd))
            case State.JUDGED:
                self._settle(flight, Amount((fact.input_tokens or 0) + (fact.output_tokens or 0), fact.usd))
            case State.REFUSED | State.FAILED:
                if fact.usage == "object":
                    self._settle(flight, Amount((fact.input_tokens or 0) + (fact.output_tokens or 0), fact.usd))
                elif flight.received and fact.state is State.REFUSED:
                    self._doubt(flight)
                if fact.sent == 0 and flight.open:
                    self.calls -= 1
                    flight.departures -= 1
                flight.open, flight.waits = False, fact.waits == 1
            case State.UNKNOWN:
                self._doubt(flight)

    def ledger(self, budget: Budget) -> Ledger:
        """A ledger that goes on from here."""
        return Ledger(budget, calls=self.calls, settled=self.settled, uncertain=self.uncertain)

    def close(self) -> "History":
        """Count what was sent and has no end as if nobody will ever know of it."""
        for flight in self.flights.values():
            if flight.open and not flight.received:
                self._doubt(flight)
        return self

    def _settle(self, flight: Flight, amount: Amount) -> None:
        if not flight.counted:  # judged again by a recheck is not paid again
            self.settled += amount
        if flight.uncertain is not None:  # a later version could read it
            self.uncertain -= flight.uncertain
            self.uncertain_calls -= 1
        flight.counted, flight.open, flight.uncertain = True, False, None

    def _doubt(self, flight: Flight) -> None:
        if flight.open:
            self.uncertain += flight.amount
            self.uncertain_calls += 1
            flight.uncertain = flight.amount if flight.received else None
        flight.open = False
