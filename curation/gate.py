"""Gate: where requests wait until their pace lets them go, first come, first served."""

import asyncio
import math
from collections import deque

from .limits import Outcome, Pace, Ticket


class Stopped(Exception):
    """Nothing more is to be sent by this call: the user stopped it, or a budget or a teacher came to its end."""


class Gate:
    """One endpoint and model. Belongs to the event loop that first waits in it."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._waiting: deque[tuple[asyncio.Future[Ticket], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def enter(self, tokens: float = 0.0) -> Ticket:
        """Wait for permission to send one request of about so many tokens.

        Raises:
            Stopped: the gate was closed first.
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
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave(place.result(), "lost")  # permission came, and nobody was there any more
            raise

    def leave(self, ticket: Ticket, outcome: Outcome, retry_after: float | None = None) -> None:
        """The request has come to its end; see `Pace.arrive`."""
        self.pace.arrive(_now(), ticket, outcome, retry_after)
        self._admit()

    def close(self) -> None:
        """Let nobody in any more; those who wait hear of it."""
        self._closed = True
        while self._waiting:
            place, _ = self._waiting.popleft()
            if not place.done():
                place.set_exception(Stopped())
        if self._timer is not None:
            self._timer.cancel()

    def _admit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            place, tokens = self._waiting[0]
            if place.done():
                self._waiting.popleft()
                continue
            now = _now()
            seconds = self.pace.wait(now, tokens)
            if seconds <= 0:
                self._waiting.popleft()
                place.set_result(self.pace.depart(now, tokens))
                continue
            if seconds < math.inf:
                self._timer = asyncio.get_running_loop().call_later(seconds + 0.001, self._admit)
            return


def _now() -> float:
    return asyncio.get_running_loop().time()
