"""Ingest: everything that a source yields goes into a new store, in its order, part by part.

Parts are read by worker processes and written by them; this process puts what they came to into the index, in the
order of the source. A part is done when its transaction is: kill it, call it again with the same words, and it goes
on behind the last one. Memory holds a few parts, whatever the number of rows.
"""

import contextlib
import gc
import hashlib
import json
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from pathlib import Path

from ..schemas.errors import RunError
from .source import Options, Shard, Source, load
from .store.batch import Batch, Done
from .store.studies import StudyStore
from .store.writer import IMAGES, StoreWriter

_PARTS = 2  # counts changes in how sources are cut into parts: an ingest that another cutting began cannot go on

OnProgress = Callable[[int, int, int, float | None], None]


def ingest(
    kind: str, path: Path, out: Path, options: Options, on_progress: OnProgress | None = None, *, workers: int = 1
) -> StudyStore:
    """Read a source into a new store at `out`. If it fails before anything is done, nothing is left but images.

    Args:
        kind: a file of data/sources, e.g. open-i.
        path: what to read.
        out: a folder that does not exist, is empty, or holds the same ingest, cut off.
        options: what is asked of the source; `converted` is set here.
        on_progress: called after each part with the numbers of rows, studies and rejected rows so far, and the share of
            the source that is done, if that is known.
        workers: processes that read parts; 1 is this one. More need a main module that can be imported.

    Raises:
        InputError: the source cannot be read, or `out` is taken, or holds another unfinished ingest.
        RunLockedError: another process writes to `out`.
        RunError: a worker was killed; the same call goes on.
    """
    source = load(kind)
    options = options.model_copy(update={"converted": None})
    resolved = options.model_dump(mode="json", exclude={"converted"})
    fingerprint = _fingerprint(kind, path, options) if source.has_shards else None
    options = options.model_copy(update={"converted": out / IMAGES})
    with StoreWriter(out, kind, fingerprint=fingerprint, options=resolved) as writer:

        def tell(share: float | None) -> None:
            if on_progress is not None:
                on_progress(writer.rows, writer.studies, writer.rejections.total(), share)

        tell(None)
        if source.has_shards:
            shares: dict[int, float | None] = {}

            def parts() -> Iterator[tuple[int, Shard]]:
                for number, shard in enumerate(source.shards(path, options)):
                    if number not in writer.parts:
                        shares[number] = source.share(shard)
                        yield number, shard

            for done in _all_done(source, parts(), options, writer, workers):
                writer.commit(done)
                tell(shares.pop(done.number))
        else:
            for row in source.read(path, options):
                writer.put(row)
            tell(None)
    return StudyStore.open(out)


def read_part(kind: str, number: int, shard: Shard, options: Options, file: Path) -> Done:
    """Read one part of a source and write its studies: a pure function of its arguments, for any engine."""
    batch = Batch()
    for row in load(kind).read_shard(shard, options):
        batch.put(row)
    batch.write(file)
    return batch.done(number)


def _all_done(
    source: Source, todo: Iterator[tuple[int, Shard]], options: Options, writer: StoreWriter, workers: int
) -> Iterator[Done]:
    """All parts, in their order."""
    few = list(islice(todo, 2))
    if workers < 2 or len(few) < 2:  # a process costs half a second
        for number, shard in chain(few, todo):
            yield read_part(source.kind, number, shard, options, writer.file(number))
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_initialize) as pool:
        running: deque[Future[Done]] = deque()
        try:
            for number, shard in chain(few, todo):
                running.append(pool.submit(read_part, source.kind, number, shard, options, writer.file(number)))
                if len(running) > 2 * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool:
            message = "a worker process was killed (out of memory?); the same command goes on from here"
            raise RunError(message, file=writer.root) from None
        finally:
            for future in running:
                future.cancel()


def _initialize() -> None:
    """Ctrl-C reaches every process of a terminal; the first one decides what it means."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)  # a part makes many objects and no circles


def _fingerprint(kind: str, path: Path, options: Options) -> str:
    """What decides a store's content: the source, its files as far as a glance tells, and the options."""
    seen = []
    for place in (path, options.images):
        if place is not None and place.exists():
            files = sorted(file for file in place.iterdir() if file.is_file()) if place.is_dir() else [place]
            seen += [(str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    asked = [_PARTS, kind, str(path.resolve()), seen, options.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
