"""History: what a run's journal says that its requests used, and what those without an answer may have used."""

from collections import Counter
from dataclasses import dataclass, field

from ...data.sums import Keyed, Sums
from ...schemas.recipe import Budget
from ...schemas.run import State
from .budget import Amount, Ledger


@dataclass
class Flight:
    """One unusual request: its last departure, and what has become of it."""

    teacher: str = ""
    amount: Amount = field(default_factory=lambda: Amount(0, None))  # what was reserved
    received: bool = False
    open: bool = False
    waits: bool = False  # its answer comes in a later pass or call
    counted: bool = False  # its answer's use has been added
    uncertain: Amount | None = None  # what was counted as uncertain, since its answer could not be read


@dataclass
class History:
    """Sums over a journal."""

    settled: Amount = field(default_factory=Amount)
    uncertain: Amount = field(default_factory=Amount)
    uncertain_calls: int = 0
    studies: int = 0  # that a request was sent for
    calls_by: Counter[str] = field(default_factory=Counter)  # teacher; departures that `add` has seen
    answered: set[str] = field(default_factory=set)  # teachers
    flights: dict[str, Flight] = field(default_factory=dict)

    @classmethod
    def of(cls, sums: Sums) -> "History":
        """What the requests of a journal come to: most by its sums, the unusual ones event by event."""
        departures, unusual = sums.departures(), Counter[str]()
        history = cls(settled=Amount(*sums.used()), studies=sums.asked(), calls_by=Counter(departures))
        for one in sums.unusual():
            history.add(one)
            unusual[one.row.teacher or ""] += one.row.state is State.IN_FLIGHT
        history.answered |= {name for name, count in departures.items() if count > unusual[name]}
        return history

    @property
    def calls(self) -> int:
        """Requests that were sent."""
        return self.calls_by.total()

    @property
    def waiting(self) -> int:
        """Requests whose answer comes in a later pass or call."""
        return sum(flight.waits for flight in self.flights.values())

    def add(self, one: Keyed) -> None:
        """One more event of an unusual request."""
        flight, event = self.flights.setdefault(one.key, Flight()), one.row
        match event.state:
            case State.IN_FLIGHT:
                flight.teacher = event.teacher or ""
                flight.amount = Amount(event.tokens or 0, event.usd)
                flight.open, flight.received, flight.counted, flight.uncertain = True, False, False, None
                flight.waits = False
            case State.RECEIVED:
                flight.received = True
                self.answered.add(flight.teacher)
            case State.JUDGED:
                self._settle(flight, Amount(event.tokens or 0, event.usd))
            case State.REFUSED | State.FAILED:
                if event.used:
                    self._settle(flight, Amount(event.tokens or 0, event.usd))
                elif flight.received and event.state is State.REFUSED:
                    self._doubt(flight)
                if event.sent == 0 and flight.open:
                    self.calls_by[flight.teacher] -= 1
                flight.open, flight.waits = False, event.waits == 1
            case State.UNKNOWN:
                self._doubt(flight)

    def ledger(self, budget: Budget) -> Ledger:
        """A ledger that goes on from here."""
        return Ledger(budget, calls=self.calls, settled=self.settled, uncertain=self.uncertain)

    def close(self) -> "History":
        """Count requests that were sent and have no end as lost: they may have been paid for."""
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
