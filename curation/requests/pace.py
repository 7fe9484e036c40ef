"""Pace and gate: how many requests may be in flight to one endpoint and model, and which one goes next.

`Pace` decides. It is pure: each call passes the time (seconds of any monotonic clock), and nothing is locked.

    probe: the first request goes alone: a wrong key or a schema that is refused costs one request
    slow start: from there the window grows by one with each answer, so it doubles in a round trip
    cut: each request that the server throttles (429, 529, 503) takes as much of a request off the window as is the
        share of such answers lately, at most half of one; that request alone waits for its Retry-After (asker.py)
    recover: an answer adds a part of a request, a sixteenth of the window in a round trip, or one
    cooldown: most of the recent answers were so, or the provider says that nothing is left: nothing goes until
        Retry-After is over; then one request goes alone, and the window opens when it is answered. Further
        Retry-Afters extend a cooldown, never beyond LONGEST seconds after its start, and nothing that is sent in
        between can extend it, because nothing is: it cannot freeze the run.

`Gate` lets requests wait until their pace lets them go, first come, first served:

    acquire ──► (its departure goes to disk) ──► start ──► (it is sent) ──► finish      or, before start: release

A few more are admitted than may be in flight, so that the disk is waited for while others are on their way. Those
few count as sent if the process is killed; while the pace holds everything back, only those few are admitted.
"""

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

LONGEST = 120.0  # seconds of one cooldown; a server that wants more is asked again with one request
START = 32  # requests, once the first is answered
_RECENT, _ROW = 64, 16  # answers whose share of throttled ones counts; so many in a row are most of them too
_MOST = 2 / 3
_ALONE = 1.0  # a cooldown of so many seconds ends with one request alone
_OUTAGE = 4  # requests in a row without any answer, if the window is not larger: the server is in trouble
_AHEAD = 8  # one more is admitted for so many that can be in flight

Outcome = Literal["answered", "throttled", "lost"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Permission for one request."""

    alone: bool
    tokens: float  # that were taken from the rate


class Pace:
    """See the module.

    Args:
        ceiling: most requests in flight.
        requests_per_minute: if the provider has such a limit.
        tokens_per_minute: the same, for tokens.
    """

    def __init__(
        self, ceiling: int, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self.ceiling = ceiling
        self.window = float(min(ceiling, START))
        self.in_flight = 0
        self.answers = 0  # in all
        self.misses = 0  # requests since the last answer that went alone and found none
        self.until = -math.inf  # nothing goes before
        self._threshold = float(ceiling)  # slow start ends here
        self._since = -math.inf  # start of the cooldown
        self._trouble = 0  # requests since the last answer that found none
        self._strikes = 0  # cooldowns since then that we chose ourselves
        self._recent: deque[bool] = deque(maxlen=_RECENT)  # whether they were throttled
        self._row = 0  # throttled since the last that was answered
        self._alone = True  # the next one goes alone
        self._probing = False  # one is in flight alone
        self._requests = Bucket(requests_per_minute)
        self._tokens = Bucket(tokens_per_minute)

    def wait(self, now: float, tokens: float = 0.0) -> float:
        """Seconds until a request may go, as far as is known; infinite while only an answer can help."""
        if self._probing if self._alone else self.in_flight >= int(self.window):
            return math.inf
        return max(0.0, self.until - now, self._requests.wait(now, 1.0), self._tokens.wait(now, tokens))

    def room(self, now: float) -> int:
        """How many may be in flight at this moment, those that are included."""
        return 0 if now < self.until else 1 if self._alone else int(self.window)

    def depart(self, now: float, tokens: float = 0.0) -> Ticket:
        """A request goes; call it only when `wait` is 0."""
        self.in_flight += 1
        self._probing = self._alone
        self._requests.take(now, 1.0)
        self._tokens.take(now, tokens)
        return Ticket(self._alone, tokens)

    def arrive(self, now: float, ticket: Ticket, outcome: Outcome, retry_after: float | None = None) -> None:
        """A request has ended.

        Args:
            now: the time.
            ticket: of that request.
            outcome: answered (whatever the answer was), throttled, or lost (no answer: reset, timeout, 5xx).
            retry_after: seconds, if the server gave any; what makes no sense is as if it gave none.
        """
        self.in_flight -= 1
        if ticket.alone:
            self._probing = False
        if outcome != "lost":
            self._recent.append(outcome == "throttled")
        if outcome == "answered":
            self.answers += 1
            self._trouble = self._strikes = self.misses = self._row = 0
            self._alone = self._alone and not ticket.alone
            self._grow()
            return
        self._trouble += 1
        self.misses += ticket.alone
        share = sum(self._recent) / len(self._recent) if self._recent else 0.0
        if outcome == "throttled" and not ticket.alone:
            self._threshold = self.window = max(1.0, self.window - min(0.5, share))
        self._row = self._row + 1 if outcome == "throttled" else self._row
        most = ticket.alone or self._row >= _ROW or (share > _MOST and len(self._recent) >= _ROW)
        wanted = usable_seconds(retry_after) if most else None
        enough = _OUTAGE if self._alone else max(_OUTAGE, self.window)
        if wanted is None and self._trouble >= enough and now >= self.until:
            wanted = min(LONGEST / 2, 0.5 * 2.0**self._strikes)
            self._strikes = min(self._strikes + 1, 10)
        if wanted is not None:
            self._cool(now, wanted)

    def pause(self, now: float, seconds: float) -> None:
        """The server says that nothing is left until so many seconds from now."""
        self._cool(now, usable_seconds(seconds) or 0.0)

    def settle(self, reserved: float, used: float) -> None:
        """Correct the tokens that were taken at departure."""
        self._tokens.give_back(reserved - used)

    def _cool(self, now: float, seconds: float) -> None:
        if now >= self.until:
            self._since = now
        self.until = max(self.until, min(now + seconds, self._since + LONGEST))
        self._alone = self._alone or seconds >= _ALONE

    def _grow(self) -> None:
        step = 1.0 if self.window < self._threshold else max(1.0, self.window / 16) / self.window
        self.window = min(float(self.ceiling), self.window + step)


class Bucket:
    """A token bucket with ten seconds' worth of room; without a rate it never holds anything up."""

    def __init__(self, per_minute: float | None) -> None:
        self._rate = per_minute / 60 if per_minute else None
        self._room = max(1.0, self._rate * 10) if self._rate else math.inf
        self._level = self._room
        self._at: float | None = None

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` may be taken; an amount larger than the bucket needs a full one."""
        if self._rate is None:
            return 0.0
        self._fill(now)
        lacking = min(amount, self._room) - self._level
        return lacking / self._rate if lacking > 1e-9 else 0.0

    def take(self, now: float, amount: float) -> None:
        """Take an amount; the level may fall below zero."""
        if self._rate is not None:
            self._fill(now)
            self._level -= amount

    def give_back(self, amount: float) -> None:
        """Put back what was not used, or take what was used beyond it."""
        self._level = min(self._room, self._level + amount)

    def _fill(self, now: float) -> None:
        if self._rate is not None and self._at is not None:
            self._level = min(self._room, self._level + max(0.0, now - self._at) * self._rate)
        self._at = now


def usable_seconds(value: float | None) -> float | None:
    """A Retry-After that can be used: finite and not negative, at most LONGEST."""
    if value is None or math.isnan(value) or value < 0:
        return None
    return min(value, LONGEST)


class Stopped(Exception):
    """Nothing more is to be sent by this call: the user stopped it, or its budget or a teacher came to its end."""


class Gate:
    """One endpoint and model. Belongs to the event loop that first waits in it."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.admitted = 0
        self._ahead = -(-pace.ceiling // _AHEAD)
        self._acquiring: deque[asyncio.Future[None]] = deque()
        self._starting: deque[tuple[asyncio.Future[Ticket], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self) -> None:
        """Wait to be admitted: from there it will not be long.

        Raises:
            Stopped: the gate was closed first.
        """
        if self._closed:
            raise Stopped
        if not self._acquiring and self.admitted < self.pace.room(_now()) + self._ahead:
            self.admitted += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acquiring.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if _given(place):
                self.release()
            raise

    def release(self) -> None:
        """Give the place up without having been sent."""
        self.admitted -= 1
        self._admit()

    async def start(self, tokens: float = 0.0) -> Ticket:
        """Wait for permission to send one request of about so many tokens, after `acquire`.

        Raises:
            Stopped: the gate was closed first; `release` is still to be called.
        """
        if self._closed:
            raise Stopped
        loop = asyncio.get_running_loop()
        if not self._starting and self.pace.wait(loop.time(), tokens) <= 0:
            return self.pace.depart(loop.time(), tokens)
        place: asyncio.Future[Ticket] = loop.create_future()
        self._starting.append((place, tokens))
        self._admit()
        try:
            return await place
        except asyncio.CancelledError:
            if _given(place):
                self.pace.arrive(_now(), place.result(), "lost")  # permission came, and the request is cancelled
                self._admit()
            raise

    def finish(self, ticket: Ticket, outcome: Outcome, retry_after: float | None = None) -> None:
        """The request has ended; see `Pace.arrive`."""
        self.pace.arrive(_now(), ticket, outcome, retry_after)
        self.release()

    def close(self) -> None:
        """Let no request go any more; those that wait raise Stopped."""
        self._closed = True
        held: list[asyncio.Future[None] | asyncio.Future[Ticket]] = [*self._acquiring, *(p for p, _ in self._starting)]
        for place in held:
            if not place.done():
                place.set_exception(Stopped())
        self._acquiring.clear()
        self._starting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _admit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = _now()
        while self._starting:
            place, tokens = self._starting[0]
            if not place.done():
                seconds = self.pace.wait(now, tokens)
                if seconds > 0:
                    if seconds < math.inf:
                        self._timer = asyncio.get_running_loop().call_later(seconds + 0.001, self._admit)
                    break
                place.set_result(self.pace.depart(now, tokens))
            self._starting.popleft()
        room = self.pace.room(now) + self._ahead
        while self._acquiring and self.admitted < room:
            waiter = self._acquiring.popleft()
            if not waiter.done():
                self.admitted += 1
                waiter.set_result(None)


def _given(place: "asyncio.Future[Ticket] | asyncio.Future[None]") -> bool:
    """Whether a place was given to a request that was cancelled before it could take it."""
    return place.done() and not place.cancelled() and place.exception() is None


def _now() -> float:
    return asyncio.get_running_loop().time()
