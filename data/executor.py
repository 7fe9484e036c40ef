"""Work spread over shards: each goes through a function that depends on nothing else, and results come in order.

    executor.map_rows(work, rows, key)     rows in, and each with its result out; a shard is a batch of rows
    executor.map(work, shards)             the same for shards that a caller has cut itself

An executor is processes of this machine (processes.py) or a Ray cluster (ray_executor.py). A worker does what this
process would do alone, so results depend neither on the executor nor on how many workers it has.

A row that cannot be worked on has a result, too: Failed, with the reason. A shard whose process dies is done again by
itself, and row by row if it dies again, so that a row that takes too much memory costs nothing but itself. Errors that
the user can fix (TenstepError), and those of the machine (a full disk), end the work.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from traceback import extract_tb
from typing import NamedTuple, TypeVar

from ..schemas.errors import RunError, TenstepError
from .shard_cache import ShardCache

T = TypeVar("T")
R = TypeVar("R")
_BATCH = 64


class Failed(NamedTuple):
    """In the place of a result: why there is none. It quotes no data."""

    reason: str

    def __str__(self) -> str:
        return self.reason


KILLED = Failed("its process was killed, twice (out of memory?)")


class Executor(ABC):
    """Does work somewhere.

    Args:
        cache: a folder for finished shards of rows, so that the same call after a kill does only the others.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache

    @abstractmethod
    def map(self, work: Callable[[T], R], shards: Iterable[T]) -> Iterator[R | Failed]:
        """What `done(work, shard)` gives for each shard, in their order; KILLED where no process survives it.

        Args:
            work: a function at the top of a module, or a partial of one.
            shards: read as they are needed; only a few are held.
        """

    def map_rows(
        self, work: Callable[[Sequence[T]], list[R]], rows: Iterable[T], key: Callable[[T], str]
    ) -> Iterator[tuple[T, R | Failed]]:
        """Every row with its result.

        Args:
            work: a function at the top of a module, or a partial of one, which takes a batch of rows.
            rows: read as they are needed; only a few batches are held.
            key: all of a row that decides its result, for the cache; a function at the top of a module.

        Raises:
            InputError: others can read or write in the cache.
        """
        held: deque[Sequence[T]] = deque()

        def batches() -> Iterator[Sequence[T]]:
            left = iter(rows)
            while batch := list(islice(left, _BATCH)):
                held.append(batch)
                yield batch

        cache = None if self.cache is None else ShardCache.open(self.cache, work, key)
        for found in self.map(partial(_batch, work, cache), batches()):
            batch = held.popleft()
            if not isinstance(found, Failed):
                yield from zip(batch, found, strict=True)
                continue
            alone = self.map(partial(_batch, work, None), ([row] for row in batch)) if len(batch) > 1 else [found]
            for row, one in zip(batch, alone, strict=True):
                yield row, one if isinstance(one, Failed) else one[0]


def sure(found: R | Failed, what: str) -> R:
    """A result without which there is no answer.

    Raises:
        RunError: there is none.
    """
    if isinstance(found, Failed):
        raise RunError(f"{what} could not be worked on: {found.reason}")
    return found


def done(work: Callable[[T], R], shard: T) -> R | Failed:
    """The result of one shard; for executors, which call it wherever the work is done."""
    try:
        return work(shard)
    except (TenstepError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 a fault that one shard meets is that shard's result
        place = extract_tb(error.__traceback__)[-1]
        return Failed(f"{type(error).__name__} in {PurePath(place.filename).name}, line {place.lineno}")


def _batch(work: Callable[[Sequence[T]], list[R]], cache: ShardCache | None, rows: Sequence[T]) -> list[R | Failed]:
    known: list[R | Failed] | None = None if cache is None else cache.get(rows)
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
    if cache is not None:
        cache.put(rows, results)
    return results
