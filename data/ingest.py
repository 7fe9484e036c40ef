"""Ingest: everything that a source yields goes into a new store, in its order, one row at a time."""

from collections.abc import Callable
from pathlib import Path

from ..schemas.study import RejectedRow, Study
from .source import Options, load
from .store import StudyStore
from .writer import IMAGES


def ingest(
    kind: str,
    path: Path,
    out: Path,
    options: Options,
    told: Callable[[int, int], None] | None = None,
) -> StudyStore:
    """Read a source into a new store at `out`. If it fails, nothing is left there but converted images.

    Args:
        kind: a file of data/sources, e.g. open-i.
        path: what to read.
        out: a folder that does not exist, is empty, or holds an ingest that was cut off.
        options: what the source is told; `converted` is set here.
        told: called after each study or rejected row with the numbers of both so far.

    Raises:
        InputError: the source cannot be read, or `out` is taken.
        RunLockedError: another process writes to `out`.
    """
    source = load(kind)
    with StudyStore.create(out, kind) as writer:
        for row in source.read(path, options.model_copy(update={"converted": out / IMAGES})):
            writer.put(row)
            if told is not None and isinstance(row, Study | RejectedRow):
                told(writer.studies, writer.rejections.total())
    return StudyStore.open(out)
