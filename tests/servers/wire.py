"""HTTP/1.1 on a loopback port, with control over every byte: an answer can be cut, dripped, reset or mislabelled.

It knows requests and answers as bytes. It does not know providers. One task a request; keep-alive; no TLS.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self

Ending = Literal["whole", "cut", "drip", "reset_before", "reset_after_headers", "silent"]
_DRIP_PARTS = 20


@dataclass(frozen=True, slots=True)
class Request:
    """What came in."""

    method: str
    path: str  # without the query
    query: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out, and how it ends."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = "whole"
    seconds: float = 0.0  # waited before the first byte; for drip, the time that the body takes
    on_written: Callable[[], None] | None = None  # called when the whole answer was handed to a connection


Handler = Callable[[Request], Answer]


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, handler: Handler, open_connections: set["Connection"]) -> None:
        self._handler = handler
        self._open = open_connections
        self._buffer = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next()) is not None:
            task = asyncio.get_running_loop().create_task(self._respond(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body, stop = self._chunks(end + 4)
        else:
            stop = end + 4 + int(headers.get("content-length", "0"))
            body = bytes(self._buffer[end + 4 : stop])
        if stop < 0 or len(self._buffer) < stop:
            return None
        del self._buffer[:stop]
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, body)

    def _chunks(self, at: int) -> tuple[bytes, int]:
        parts = []
        while (line := self._buffer.find(b"\r\n", at)) >= 0:
            size = int(self._buffer[at:line], 16)
            parts.append(bytes(self._buffer[line + 2 : line + 2 + size]))
            at = line + 2 + size + 2
            if len(self._buffer) < at:
                break
            if size == 0:
                return b"".join(parts), at
        return b"", -1

    async def _respond(self, request: Request) -> None:
        answer = self._handler(request)
        if answer.ending == "silent":
            await asyncio.Event().wait()
        if answer.seconds and answer.ending != "drip":
            await asyncio.sleep(answer.seconds)
        if answer.ending == "reset_before":
            self.transport.abort()
            return
        headers = {"content-type": "application/json", "content-length": str(len(answer.body)), **answer.headers}
        head = f"HTTP/1.1 {answer.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head_bytes = head.encode("latin-1") + b"\r\n"
        match answer.ending:
            case "whole":
                gone = self.transport.is_closing()
                self.transport.write(head_bytes + answer.body)
                if answer.on_written and not gone:
                    answer.on_written()
                if headers["content-length"] != str(len(answer.body)):
                    self.transport.close()
            case "cut":
                self.transport.write(head_bytes + answer.body[: len(answer.body) // 2])
                self.transport.close()
            case "reset_after_headers":
                self.transport.write(head_bytes)
                await asyncio.sleep(0.01)
                self.transport.abort()
            case "drip":
                self.transport.write(head_bytes)
                step = max(1, -(-len(answer.body) // _DRIP_PARTS))
                for at in range(0, len(answer.body), step):
                    await asyncio.sleep(answer.seconds / _DRIP_PARTS)
                    self.transport.write(answer.body[at : at + step])


class Loopback:
    """A server in its own thread; a context manager. `url` has no trailing slash.

    It is on 127.0.0.1, unless it stands in a network of its own (machines.py).
    """

    def __init__(self, handler: Handler, port: int = 0, host: str = "127.0.0.1") -> None:
        self._handler = handler
        self._host, self._port = host, port
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)
        self._connections: set[Connection] = set()
        self._stop = asyncio.Event()
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self._handler, self._connections), self._host, self._port, backlog=2048
        )
        port = server.sockets[0].getsockname()[1]
        self.url = f"http://{self._host}:{port}"
        self._started.set()
        await self._stop.wait()
        server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
