"""A process that works through batches: what gathers while it is busy is its next batch, and results come in order.

    process = BatchProcess(start)          start(), called there once, gives the function that works through a batch
    result = await process.run(item)
    await process.close()

The process is started at its first use. It ends when its input does, so it never outlives the one that started it.
What goes through the pipes is between our own two processes: lengths and pickles. Items wait here only while whoever
gave them waits for their results.
"""

import asyncio
import gc
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from ..data.child import COMMAND, HEAD, framed, length_of
from ..schemas.errors import RunError

_BATCH = 64  # items at once
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
        self._start = pickle.dumps(partial(_answering, start))
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
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
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            results: Sequence[Result | Exception]
            try:
                results = await self._exchange([item for item, _ in batch])
            except (OSError, EOFError, asyncio.IncompleteReadError):
                results = [RunError("a worker process was killed (out of memory?); try --workers 0")] * len(batch)
            for (_, waiter), result in zip(batch, results, strict=True):
                if waiter.done():
                    continue
                if isinstance(result, Exception):
                    waiter.set_exception(result)
                else:
                    waiter.set_result(result)

    async def _exchange(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST,
                start_new_session=True,  # Ctrl-C is for us to hear
            )  # fmt: skip
            self._send(self._start)
        self._send(pickle.dumps(items, pickle.HIGHEST_PROTOCOL))
        assert self._process.stdin is not None and self._process.stdout is not None
        await self._process.stdin.drain()
        length = length_of(await self._process.stdout.readexactly(HEAD))
        results: list[Result | Exception] = pickle.loads(await self._process.stdout.readexactly(length))  # noqa: S301 from our own process
        return results

    def _send(self, content: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(framed(content))

    async def close(self) -> None:
        """Let it finish, and end it."""
        if self._turn is not None:
            await self._turn
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()


def _answering(start: Callable[[], Work[Any, Any]]) -> Callable[[bytes], bytes]:
    """What the process answers a batch with: its results."""
    gc.set_threshold(100_000)  # verdicts make many objects and no circles
    work = start()
    return lambda batch: pickle.dumps(work(pickle.loads(batch)), pickle.HIGHEST_PROTOCOL)  # noqa: S301 from the process that started this one
