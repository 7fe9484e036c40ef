"""Ingest: everything that a source yields goes into a new store, in its order, part by part.

Parts are read by workers and written by them; this process puts what they came to into the index, in the order of the
source. A part is done when its transaction is: kill it, call it again with the same words, and it goes on behind the
last one. Memory holds a few parts, whatever the number of rows. A part that no worker survives is a rejected row,
PART_FAILED, and the rest is read.
"""

import hashlib
import json
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ..schemas.errors import RunError
from ..schemas.study import RejectedRow
from .executor import Executor, Failed
from .processes import THIS_PROCESS
from .source import Shard, Source, SourceOptions, load
from .store.batch import Batch, Done
from .store.studies import StudyStore
from .store.writer import IMAGES, StoreWriter

_PARTS = 2  # counts changes in how sources are cut into parts: an ingest that another cutting began cannot go on

PART_FAILED = "part_failed"

OnProgress = Callable[[int, int, int, float | None], None]


def ingest(
    kind: str,
    path: Path,
    out: Path,
    options: SourceOptions,
    on_progress: OnProgress | None = None,
    *,
    executor: Executor = THIS_PROCESS,
) -> StudyStore:
    """Read a source into a new store at `out`. If it fails before anything is done, nothing is left but images.

    Args:
        kind: a file of data/sources, e.g. open-i.
        path: what to read.
        out: a folder that does not exist, is empty, or holds the same ingest, cut off.
        options: what is asked of the source; `converted` is set here.
        on_progress: called after each part with the numbers of rows, studies and rejected rows so far, and the share of
            the source that is done, if that is known.
        executor: reads parts (data/executor.py); all of its nodes see `out`.

    Raises:
        InputError: the source cannot be read, or `out` is taken, or holds another unfinished ingest.
        RunLockedError: another process writes to `out`.
        RunError: a worker wrote to another disk than this one.
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

            for done in _read(source, parts(), options, writer, executor):
                writer.commit(done)
                tell(shares.pop(done.number))
        else:
            for row in source.read(path, options):
                writer.put(row)
            tell(None)
    return StudyStore.open(out)


def read_part(kind: str, options: SourceOptions, part: tuple[int, Shard, Path]) -> Done:
    """Read one part of a source and write its studies: a pure function of its arguments, for any executor.

    Args:
        kind: of source.
        options: the source's.
        part: its number, what it is, and the file for its studies, which takes its name when it is whole: a node that
            was taken for dead may still write while another one does the same.
    """
    number, shard, file = part
    batch = Batch()
    for row in load(kind).read_shard(shard, options):
        batch.put(row)
    partial = file.with_name(f"{file.name}-{secrets.token_hex(4)}")
    batch.write(partial)
    if batch.studies:
        partial.replace(file)
    return batch.done(number)


def _read(
    source: Source, todo: Iterator[tuple[int, Shard]], options: SourceOptions, writer: StoreWriter, executor: Executor
) -> Iterator[Done]:
    """All parts, in their order."""
    numbers: deque[int] = deque()

    def parts() -> Iterator[tuple[int, Shard, Path]]:
        for number, shard in todo:
            numbers.append(number)
            yield number, shard, writer.file(number)

    for found in executor.map(partial(read_part, source.kind, options), parts()):
        number = numbers.popleft()
        if isinstance(found, Failed):
            batch = Batch()
            batch.put(RejectedRow(source=source.kind, row=f"part {number}", reason=PART_FAILED, detail=found.reason))
            yield batch.done(number)
            continue
        if found.studies and not writer.file(number).exists():
            raise RunError("a worker wrote to another disk; every node must see this folder", file=writer.root)
        yield found


def _fingerprint(kind: str, path: Path, options: SourceOptions) -> str:
    """What decides a store's content: the source, its files as far as a glance tells, and the options."""
    seen = []
    for place in (path, options.images):
        if place is not None and place.exists():
            files = sorted(file for file in place.iterdir() if file.is_file()) if place.is_dir() else [place]
            seen += [(str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    asked = [_PARTS, kind, str(path.resolve()), seen, options.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
