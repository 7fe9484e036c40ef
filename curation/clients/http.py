"""HTTP: the one client that both SDKs speak through, and what it will not do.

It takes no proxy and no header from the environment, follows no redirect, stores no cookie, asks for no
compression, and reads at most so many bytes. It has no limit of connections: the engine bounds what is in flight.
A request that was never sent ends as `httpx2.ConnectError`; any other failure means that it may have been.

Underneath is aiohttp: with 256 requests in flight the SDKs' own pool takes twice as long and twice the processor.
Their aiohttp transport (a private module of theirs) will not do: it takes a connection that was reset for one that was
never made, so that a request which may have been paid for would be sent again; it bounds neither the time nor the
bytes of a whole answer; and its errors keep aiohttp's own, request and all. This is a file of its own, since its
classes extend httpx2's, which is loaded only when something is sent.
"""

import asyncio
import io
import logging
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import aiohttp
import httpx2

CONNECT = 10.0  # seconds
_IDLE = 4.0  # seconds; servers close idle connections after 5 or more, and a request on a closed one is lost
_LARGE = 1 << 20  # bytes that aiohttp does not like to take in one piece
_SENT = frozenset({b"accept", b"anthropic-version", b"authorization", b"content-type", b"user-agent"})
_LOGGERS = ("openai", "anthropic", "httpx2", "httpcore2", "aiohttp")


def client(seconds: float, most_bytes: int = 32 << 20) -> "Client":
    """A client for one endpoint; close it in the event loop that used it.

    Args:
        seconds: for a whole request, from connecting to the last byte.
        most_bytes: of an answer; a longer one is an error.
    """
    quiet()
    return Client(
        transport=Transport(seconds, most_bytes),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(seconds, connect=CONNECT, pool=None),
        headers={"accept-encoding": "identity"},
    )


def sent_headers(request: httpx2.Request) -> list[tuple[str, str]]:
    """The headers of a request that are sent; its length and its host are added to them."""
    headers = [(n.decode("ascii"), v.decode("latin-1")) for n, v in request.headers.raw if n.lower() in _SENT]
    return [*headers, ("accept-encoding", "identity")]


def quiet() -> None:
    """Keep whole requests out of logs, whatever level the root logger or ANTHROPIC_LOG asks for."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


class Whole(NamedTuple):
    """A response, read to its end."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes


class Transport(httpx2.AsyncBaseTransport):
    """See the module."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send once."""
        body = await request.aread()
        found = await self.send(request.method, str(request.url), sent_headers(request), body)
        return httpx2.Response(found.status, headers=found.headers, content=found.content, request=request)

    async def send(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Whole:
        """The same, without the objects in which a request and its response go through httpx2."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE),
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        try:
            response = await self._session.request(
                method,
                url,
                data=io.BytesIO(body) if len(body) > _LARGE else body or None,
                headers=headers,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _raise(error)
        raw_headers = [(n, v) for n, v in response.raw_headers if n.lower() != b"content-encoding"]
        return Whole(response.status, raw_headers, await _whole(response, self._most_bytes))

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _whole(response: aiohttp.ClientResponse, room: int) -> bytes:
    """The body, never more than the limit; one that is packed although the request forbids it is unpacked."""
    coding = response.headers.get("content-encoding", "identity").lower()
    if coding not in ("identity", "gzip", "deflate"):
        response.close()
        raise httpx2.DecodingError(f"the answer is packed as {coding[:20]!r}, against the request")
    unpack = None if coding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    parts = []
    try:
        async for chunk in response.content.iter_any():
            part = chunk if unpack is None else unpack.decompress(chunk, room + 1)
            room -= len(part)
            if room < 0:
                raise httpx2.DecodingError("the answer is too long")
            parts.append(part)
    except (aiohttp.ClientError, OSError, zlib.error) as error:
        _raise(error)
    finally:
        response.release() if response.content.at_eof() else response.close()
    return b"".join(parts)


class Client(httpx2.AsyncClient):
    """httpx2's client, straight to the transport: there are no redirects, cookies, logins or streams to handle."""

    _transport: Transport

    async def send(self, request: httpx2.Request, **_: Any) -> httpx2.Response:
        """Send once, and read the whole answer."""
        return await self._transport.handle_async_request(request)

    async def post_again(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Whole:
        """Post once, as an earlier request was sent: with its address and its headers (`sent_headers`)."""
        return await self._transport.send("POST", url, headers, body)

    def build_request(self, method: str, url: httpx2.URL | str, **parts: Any) -> httpx2.Request:
        """A request; one of bytes, to a whole address, is made without asking what could be merged into it."""
        content, headers = parts.get("content"), parts.get("headers")
        if content is None or any(parts.get(name) for name in ("data", "files", "json", "params", "cookies")):
            return super().build_request(method, url, **parts)
        return httpx2.Request(method, url, content=content, headers=headers)


def _raise(error: Exception) -> NoReturn:
    """As the SDKs know it; without the text, which may quote what was sent."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | ValueError):
        raise httpx2.ConnectError(name) from None
    if isinstance(error, asyncio.TimeoutError):
        raise httpx2.ReadTimeout(name) from None
    raise httpx2.ReadError(name) from None
