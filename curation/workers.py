"""Work spread over processes: rows in, batch by batch, and their results out in the order of the rows.

A worker does what this process would do alone, so results do not depend on how many there are. What fits into two
batches is done here, since a process costs about a second. More than one worker needs a main module that can be
imported.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TypeVar

from ..schemas.errors import RunError

T = TypeVar("T")
R = TypeVar("R")
_BATCH = 64
_AHEAD = 3  # batches for each worker that wait or are done and not taken


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def in_order(work: Callable[[Sequence[T]], list[R]], rows: Iterable[T], workers: int) -> Iterator[R]:
    """The results of all rows.

    Args:
        work: a function at the top of a module, which takes a batch of rows.
        rows: read as they are needed; only a few batches are held.
        workers: processes; 1 is this one.

    Raises:
        RunError: a worker was killed.
    """
    batches = _batches(iter(rows))
    first = list(islice(batches, 2))
    if workers < 2 or len(first) < 2:
        for batch in chain(first, batches):
            yield from work(batch)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_initialize) as pool:
        running: deque[Future[list[R]]] = deque()
        try:
            for batch in chain(first, batches):
                running.append(pool.submit(work, batch))
                if len(running) >= _AHEAD * workers:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        except BrokenProcessPool:
            raise RunError("a worker process was killed (out of memory?); try --workers 1") from None
        finally:
            for future in running:
                future.cancel()


def _batches(rows: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _initialize() -> None:
    """Ctrl-C reaches every process of a terminal; the first one decides what it means."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)  # rows make many objects and no circles
