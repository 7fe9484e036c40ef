"""A process that works through batches: what gathers while it is busy is its next batch, and results come in order.

    process = BatchProcess(start)          start(), called there once, gives the function that works through a batch
    result = await process.run(item)
    await process.close()

The process is started at its first use. While it works through one batch the next, once it is full, is on its way.
It ends when its input does, so it never outlives the one that started it. What goes through the pipes is between our
own two processes: lengths and pickles. Items wait here only while whoever gave them waits for their results.
"""

import asyncio
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from ..data.child import COMMAND, HEAD, framed, in_batches, length_of
from ..schemas.errors import RunError

_BATCH = 32  # items at once: a batch, and what comes of it, fit into a pipe (64 KiB), so that neither side waits
_UNDER_WAY = 2  # batches
_LONGEST = 1 << 30  # bytes of one batch

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Sequence[Result | Exception]]


class BatchProcess(Generic[Item, Result]):
    """See the module.

    Args:
        start: a function that pickle can name, or a partial of one.
    """

    def __init__(self, start: Callable[[], Work[Item, Result]]) -> None:
        self._start = pickle.dumps(partial(in_batches, start))
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._turn: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, item: Item) -> Result:
        """The result of one item.

        Raises:
            RunError: the process is gone.
            Exception: what the work on this item has raised.
        """
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._turn is None or self._turn.done():
            self._turn = asyncio.create_task(self._run_all())
        return await result

    async def _run_all(self) -> None:
        sent: deque[list[asyncio.Future[Result]]] = deque()
        while True:
            try:
                process = await self._started()
                while self._waiting and (not sent or (len(sent) < _UNDER_WAY and len(self._waiting) >= _BATCH)):
                    batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                    sent.append([waiter for _, waiter in batch])
                    await _send(process, pickle.dumps([item for item, _ in batch], pickle.HIGHEST_PROTOCOL))
                if not sent:
                    return
                results = await _results(process)
            except (OSError, EOFError, asyncio.IncompleteReadError):
                gone = RunError("a worker process was killed (out of memory?); try --workers 0")
                while sent:
                    waiters = sent.popleft()
                    _resolve(waiters, [gone] * len(waiters))
                if not self._waiting:
                    return
            else:
                _resolve(sent.popleft(), results)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST,
                start_new_session=True,  # Ctrl-C is for us to hear
            )  # fmt: skip
            await _send(self._process, self._start)
        return self._process

    async def close(self) -> None:
        """Let it finish, and end it."""
        if self._turn is not None:
            await self._turn
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()


async def _send(process: asyncio.subprocess.Process, content: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(framed(content))
    await process.stdin.drain()


async def _results(process: asyncio.subprocess.Process) -> Sequence[Any]:
    assert process.stdout is not None
    length = length_of(await process.stdout.readexactly(HEAD))
    results: list[Any] = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 from our own process
    return results


def _resolve(waiters: Sequence[asyncio.Future[Any]], results: Sequence[Any]) -> None:
    for waiter, result in zip(waiters, results, strict=True):
        if waiter.done():
            continue
        if isinstance(result, Exception):
            waiter.set_exception(result)
        else:
            waiter.set_result(result)
