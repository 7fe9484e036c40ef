"""Pool: several servers of the same model; who is asked next, who is at its limit, and who is left alone for a while.

It decides; it sends nothing. A server that turned a request away, could not be reached, or failed twice in a row is
left alone: for as long as it asked, else for a second, doubled at each further failure, up to a minute. A server
without others is never left alone here: the engine's own cooldown is all it needs.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..teacher import Unanswered
from .endpoint import Endpoint

_LONGEST = 60.0  # seconds


@dataclass(eq=False)
class Server:
    """One of them."""

    endpoint: Endpoint
    checked: bool = False  # its constrained decoding was tried
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    in_flight: int = 0
    failures: int = 0  # in a row
    silent: bool = False  # the last request did not even reach it
    until: float = 0.0  # monotonic; nothing is sent before


class Pool:
    """See the module.

    Args:
        endpoints: of the servers.
        limit: requests that each of them takes at once.
    """

    def __init__(self, endpoints: Sequence[Endpoint], limit: int) -> None:
        self.servers = [Server(endpoint) for endpoint in endpoints]
        self._limit = limit
        self._freed: asyncio.Event | None = None

    async def take(self, without: Collection[Server] = ()) -> Server | None:
        """The server with the least to do, once it has room; none if each is cooling down or left out."""
        while awake := [s for s in self.servers if s not in without and s.until <= time.monotonic()]:
            least = min(awake, key=lambda server: server.in_flight)
            if least.in_flight < self._limit:
                least.in_flight += 1
                return least
            self._freed = self._freed or asyncio.Event()
            await self._freed.wait()
        return None

    def give(self, server: Server, failed: Unanswered | None = None) -> None:
        """The request has come to its end."""
        server.in_flight -= 1
        server.silent = failed is not None and not failed.sent
        server.failures = 0 if failed is None else min(server.failures + 1, 10)
        if failed is not None and len(self.servers) > 1:
            asked = failed.retry_after
            lone = failed.sent and not failed.throttled and server.failures == 1
            wait = asked if asked is not None else 0.0 if lone else 2.0 ** (server.failures - 1)
            server.until = max(server.until, time.monotonic() + min(wait, _LONGEST))
        if self._freed is not None:
            self._freed.set()
            self._freed = None

    @property
    def wait(self) -> float:
        """Seconds until some server may be asked."""
        return max(0.0, min(server.until for server in self.servers) - time.monotonic())
