"""Pool: several servers of the same model; who is asked next, who is at its limit, and who is left alone for a while.

It decides; it sends nothing. A server that turned requests away or could not be reached is left alone until its
cooldown ends, for as long as it asked, else for one second, doubled at each further failure, up to a minute.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from .endpoint import Endpoint
from .teacher import Unanswered

_LONGEST = 60.0  # seconds


@dataclass(eq=False)
class Server:
    """One of them."""

    endpoint: Endpoint
    checked: bool = False  # its constrained decoding was tried
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    flying: int = 0
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
            least = min(awake, key=lambda server: server.flying)
            if least.flying < self._limit:
                least.flying += 1
                return least
            self._freed = self._freed or asyncio.Event()
            await self._freed.wait()
        return None

    def give(self, server: Server, failed: Unanswered | None = None) -> None:
        """The request has come to its end."""
        server.flying -= 1
        server.silent = failed is not None and not failed.sent
        if failed is None:
            server.failures = 0
        else:
            wait = failed.retry_after if failed.retry_after is not None else 2.0**server.failures
            server.failures = min(server.failures + 1, 10)
            server.until = max(server.until, time.monotonic() + min(wait, _LONGEST))
        if self._freed is not None:
            self._freed.set()
            self._freed = None

    @property
    def wait(self) -> float:
        """Seconds until some server may be asked."""
        return max(0.0, min(server.until for server in self.servers) - time.monotonic())
