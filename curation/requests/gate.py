"""Gate: where requests wait until their pace lets them go, first come, first served.

    board ──► (its departure goes to disk) ──► enter ──► (it is sent) ──► leave        or, before enter: release

A few more may be aboard than may be under way, so that the disk is waited for while others are on their way. Those
few count as sent if the process is killed; while the pace holds everything back, only those few are aboard.
"""

import asyncio
import math
from collections import deque

from .limits import Outcome, Pace, Ticket

_AHEAD = 8  # one more aboard for so many that can be under way


class Stopped(Exception):
    """Nothing more is to be sent by this call: the user stopped it, or a budget or a teacher came to its end."""


class Gate:
    """One endpoint and model. Belongs to the event loop that first waits in it."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.aboard = 0
        self._ahead = -(-pace.ceiling // _AHEAD)
        self._boarding: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[tuple[asyncio.Future[Ticket], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self) -> None:
        """Wait for a place from which it will not be long.

        Raises:
            Stopped: the gate was closed first.
        """
        if self._closed:
            raise Stopped
        if not self._boarding and self.aboard < self.pace.room(_now()) + self._ahead:
            self.aboard += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._boarding.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if _given(place):
                self.release()
            raise

    def release(self) -> None:
        """Give the place up without having been sent."""
        self.aboard -= 1
        self._admit()

    async def start(self, tokens: float = 0.0) -> Ticket:
        """Wait for permission to send one request of about so many tokens; it is aboard.

        Raises:
            Stopped: the gate was closed first; it is still aboard.
        """
        if self._closed:
            raise Stopped
        loop = asyncio.get_running_loop()
        if not self._waiting and self.pace.wait(loop.time(), tokens) <= 0:
            return self.pace.depart(loop.time(), tokens)
        place: asyncio.Future[Ticket] = loop.create_future()
        self._waiting.append((place, tokens))
        self._admit()
        try:
            return await place
        except asyncio.CancelledError:
            if _given(place):
                self.pace.arrive(_now(), place.result(), "lost")  # permission came, and nobody was there any more
                self._admit()
            raise

    def finish(self, ticket: Ticket, outcome: Outcome, retry_after: float | None = None) -> None:
        """The request has come to its end; see `Pace.arrive`."""
        self.pace.arrive(_now(), ticket, outcome, retry_after)
        self.release()

    def close(self) -> None:
        """Let nobody in any more; those who wait hear of it."""
        self._closed = True
        held: list[asyncio.Future[None] | asyncio.Future[Ticket]] = [*self._boarding, *(p for p, _ in self._waiting)]
        for place in held:
            if not place.done():
                place.set_exception(Stopped())
        self._boarding.clear()
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _admit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = _now()
        while self._waiting:
            place, tokens = self._waiting[0]
            if not place.done():
                seconds = self.pace.wait(now, tokens)
                if seconds > 0:
                    if seconds < math.inf:
                        self._timer = asyncio.get_running_loop().call_later(seconds + 0.001, self._admit)
                    break
                place.set_result(self.pace.depart(now, tokens))
            self._waiting.popleft()
        room = self.pace.room(now) + self._ahead
        while self._boarding and self.aboard < room:
            boarder = self._boarding.popleft()
            if not boarder.done():
                self.aboard += 1
                boarder.set_result(None)


def _given(place: "asyncio.Future[Ticket] | asyncio.Future[None]") -> bool:
    """Whether a place was given to somebody who was cancelled before it could be taken."""
    return place.done() and not place.cancelled() and place.exception() is None


def _now() -> float:
    return asyncio.get_running_loop().time()
