"""Servers of one's own: a pool of those that serve the same model, and a trial of each before any data goes there.

`Pool` decides which is asked next; it sends nothing. A server that turned a request away, could not be reached, or
failed twice in a row rests: for as long as it asked, else for a second, doubled at each further failure, up to a
minute. A server without others never rests here: the pace of its endpoint (requests/pace.py) is all that it needs.

`trial` asks one short question: is the answer's schema enforced? A server that does not know a parameter ignores it
without a word, and then writes what it likes. The schema of the trial allows one answer that is not given by chance.
"""

import asyncio
import base64
import io
import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .answers import read_chat
from .endpoint import Endpoint, pack
from .envelope import unseal

_LONGEST = 60.0  # seconds of rest
_WORD = "amber-42"
_SCHEMA = {
    "type": "object",
    "properties": {"trial": {"type": "string", "enum": [_WORD]}},
    "required": ["trial"],
    "additionalProperties": False,
}


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


async def trial(
    endpoint: Endpoint,
    model: str,
    *,
    images: bool,
    max_tokens: int,
    constrain: Callable[[dict[str, Any]], dict[str, Any]] | None,
) -> None:
    """Ask the short question, with a grey image if images will be sent.

    Args:
        endpoint: of the server.
        model: its name there.
        images: whether it must take images.
        max_tokens: of the answer, with whatever thinking goes before it.
        constrain: from a schema to the parameters that enforce it; none if free text is wanted.

    Raises:
        TeacherError: the server cannot do what the recipe asks of it.
        Unanswered: failed, and it may work later.
    """
    content: str | list[dict[str, Any]] = "Say good morning to the radiology department, in a few words."
    if images:
        content = [{"type": "image_url", "image_url": {"url": _grey()}}, {"type": "text", "text": content}]
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": max_tokens}
    if constrain is not None:
        body |= constrain(_SCHEMA)
    failed: Unanswered | None = None
    try:
        reply = read_chat(unseal(await endpoint.post("/chat/completions", pack(body))))
    except Unanswered as no:
        failed = no
    if failed is None:
        if constrain is None or _obeyed(reply.text):
            return
        why = "stopped early" if reply.stop_reason != "stop" else "did not keep to the schema"
        raise TeacherError(
            f"{endpoint.base_url} {why} in a short trial: it does not enforce the answer's schema; set options.server "
            "to what it is, raise max_tokens if it thinks first, or set constrained: false to let it write freely"
        )
    if failed.retryable or failed.state is State.UNKNOWN:  # asking again costs nothing
        raise Unanswered(
            State.FAILED,
            failed.reason,
            failed.raw,
            retryable=True,
            retry_after=failed.retry_after,
            throttled=failed.throttled,
            sent=failed.sent,
        )
    what, check = (" with one image", ", and that it takes images, or set images: false") if images else ("", "")
    raise TeacherError(f"{failed.reason}: this was a short trial{what}; check model{check}")


def _obeyed(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return bool(found == {"trial": _WORD})


def _grey() -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (112, 112), 128).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
