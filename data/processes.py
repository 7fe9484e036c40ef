"""Processes of this machine as an executor (executor.py).

What fits into two shards is done in this process, since another one costs about a second to start. More than one worker
needs a main module that can be imported.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from pathlib import Path
from typing import Generic, TypeVar

from .executor import KILLED, Executor, Failed, done

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 3  # shards for each worker that wait or are done and not taken
_SPAWN = multiprocessing.get_context("spawn")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


class Processes(Executor):
    """Processes of this machine; with one worker, this process works.

    Args:
        workers: how many.
        cache: see Executor.
    """

    def __init__(self, workers: int, cache: Path | None = None) -> None:
        super().__init__(cache)
        self._workers = workers

    def map(self, work: Callable[[T], R], shards: Iterable[T]) -> Iterator[R | Failed]:
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


THIS_PROCESS = Processes(1)


class _Pool(Generic[T, R]):
    """Processes, and the shards that are under way in them."""

    def __init__(self, work: Callable[[T], R], workers: int) -> None:
        self._work, self._workers = work, workers
        self._pool, self._alone = _spawned(workers), _spawned(1)
        self.running: deque[tuple[T, Future[R | Failed]]] = deque()

    def submit(self, shard: T) -> None:
        """Begin a shard."""
        try:
            future = self._pool.submit(done, self._work, shard)
        except BrokenProcessPool:  # a process was killed, and all of them have ended
            self._pool.shutdown()
            self._pool = _spawned(self._workers)
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
            self._alone = _spawned(1)
            return KILLED

    def __enter__(self) -> "_Pool[T, R]":
        return self

    def __exit__(self, *error: object) -> None:
        for one in self.running:
            one[1].cancel()
        self._pool.shutdown()
        self._alone.shutdown()


def _spawned(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=_SPAWN, initializer=_initialize)


def _initialize() -> None:
    """Ctrl-C reaches every process of a terminal; the first one decides what it means."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)  # rows make many objects and no circles
