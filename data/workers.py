"""Work spread over shards: each goes through a function that depends on nothing else, and results come in order.

    in_order(work, rows, workers)      rows in, and each with its result out; a shard is a batch of rows
    each(work, shards, workers)        the same for shards that a caller has cut itself

`workers` is a number of processes of this machine, or an Executor that works elsewhere (ray_engine.py). A worker
does what this process would do alone, so results depend neither on the engine nor on how many workers there are. What
fits into two shards is done here, since a process costs about a second. More than one worker needs a main module that
can be imported.

A row that cannot be worked on has a result, too: Failed, with the reason. A shard whose process dies is done again by
itself, and row by row if it dies again, so that a row that takes too much memory costs nothing but itself. Errors that
the user can fix (TenstepError), and those of the machine (a full disk), end the work.
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
from functools import partial
from itertools import chain, islice
from pathlib import PurePath
from traceback import extract_tb
from typing import Generic, NamedTuple, Protocol, TypeVar

from ..schemas.errors import RunError, TenstepError
from .kept import Kept

T = TypeVar("T")
R = TypeVar("R")
_BATCH = 64
_AHEAD = 3  # shards for each worker that wait or are done and not taken
_SPAWN = multiprocessing.get_context("spawn")


class Failed(NamedTuple):
    """In the place of a result: why there is none. It quotes no data."""

    reason: str

    def __str__(self) -> str:
        return self.reason


KILLED = Failed("its process was killed, twice (out of memory?)")


class Executor(Protocol):
    """Does work somewhere."""

    def results(self, work: Callable[[T], R], shards: Iterable[T]) -> Iterator[R | Failed]:
        """What `done(work, shard)` gives for each shard, in their order; KILLED where no process survives it.

        Args:
            work: a function at the top of a module, or a partial of one.
            shards: read as they are needed; only a few are held.
        """
        ...


Workers = int | Executor


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def in_order(
    work: Callable[[Sequence[T]], list[R]], rows: Iterable[T], workers: Workers = 1, kept: Kept | None = None
) -> Iterator[tuple[T, R | Failed]]:
    """Every row with its result.

    Args:
        work: a function at the top of a module, or a partial of one, which takes a batch of rows.
        rows: read as they are needed; only a few batches are held.
        workers: see the module.
        kept: where finished shards are kept, so that the same call after a kill does only the others.
    """
    held: deque[Sequence[T]] = deque()

    def batches() -> Iterator[Sequence[T]]:
        left = iter(rows)
        while batch := list(islice(left, _BATCH)):
            held.append(batch)
            yield batch

    for found in each(partial(_batch, work, kept), batches(), workers):
        batch = held.popleft()
        if not isinstance(found, Failed):
            yield from zip(batch, found, strict=True)
            continue
        alone = each(partial(_batch, work, None), ([row] for row in batch), workers) if len(batch) > 1 else [found]
        for row, one in zip(batch, alone, strict=True):
            yield row, one if isinstance(one, Failed) else one[0]


def each(work: Callable[[T], R], shards: Iterable[T], workers: Workers = 1) -> Iterator[R | Failed]:
    """The result of every shard; see `in_order`."""
    engine = Processes(workers) if isinstance(workers, int) else workers
    return engine.results(work, shards)


def sure(found: R | Failed, what: str) -> R:
    """A result without which there is no answer.

    Raises:
        RunError: there is none.
    """
    if isinstance(found, Failed):
        raise RunError(f"{what} could not be worked on: {found.reason}")
    return found


def done(work: Callable[[T], R], shard: T) -> R | Failed:
    """The result of one shard; for engines, which call it wherever the work is done."""
    try:
        return work(shard)
    except (TenstepError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 a fault that one shard meets is that shard's result
        place = extract_tb(error.__traceback__)[-1]
        return Failed(f"{type(error).__name__} in {PurePath(place.filename).name}, line {place.lineno}")


def _batch(work: Callable[[Sequence[T]], list[R]], kept: Kept | None, rows: Sequence[T]) -> list[R | Failed]:
    known: list[R | Failed] | None = None if kept is None else kept.get(rows)
    if known is not None:
        return known
    results: list[R | Failed] = []
    found = done(work, rows)
    if isinstance(found, Failed):  # which of them?
        for row in rows if len(rows) > 1 else ():
            one = done(work, [row])
            results += [one] if isinstance(one, Failed) else one
        return results or [found]
    results += found
    if kept is not None:
        kept.put(rows, results)
    return results


class Processes:
    """Processes of this machine; with one, this one works.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def results(self, work: Callable[[T], R], shards: Iterable[T]) -> Iterator[R | Failed]:
        """See Executor."""
        shards = iter(shards)
        few = list(islice(shards, 2))
        if self._workers < 2 or len(few) < 2:
            for shard in chain(few, shards):
                yield done(work, shard)
            return
        with _Pool(work, self._workers) as pool:
            for shard in chain(few, shards):
                pool.submit(shard)
                if len(pool.running) >= _AHEAD * self._workers:
                    yield pool.take()
            while pool.running:
                yield pool.take()


class _Pool(Generic[T, R]):
    """Processes, and the shards that are under way in them."""

    def __init__(self, work: Callable[[T], R], workers: int) -> None:
        self._work, self._workers = work, workers
        self._pool, self._alone = _executor(workers), _executor(1)
        self.running: deque[tuple[T, Future[R | Failed]]] = deque()

    def submit(self, shard: T) -> None:
        """Begin a shard."""
        try:
            future = self._pool.submit(done, self._work, shard)
        except BrokenProcessPool:  # a process was killed, and all of them have ended
            self._pool.shutdown()
            self._pool = _executor(self._workers)
            future = self._pool.submit(done, self._work, shard)
        self.running.append((shard, future))

    def take(self) -> R | Failed:
        """Wait for the oldest one."""
        shard, future = self.running.popleft()
        try:
            return future.result()
        except BrokenProcessPool:  # by this shard, or by another one that ran at the time
            pass
        try:
            return self._alone.submit(done, self._work, shard).result()
        except BrokenProcessPool:
            self._alone.shutdown()
            self._alone = _executor(1)
            return KILLED

    def __enter__(self) -> "_Pool[T, R]":
        return self

    def __exit__(self, *error: object) -> None:
        for one in self.running:
            one[1].cancel()
        self._pool.shutdown()
        self._alone.shutdown()


def _executor(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_SPAWN, initializer=_initialize)


def _initialize() -> None:
    """Ctrl-C reaches every process of a terminal; the first one decides what it means."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)  # rows make many objects and no circles
