"""The lines of a run's tables, study by study, so that only those of studies with new verdicts are made again.

    lines.cache   a record for each study, in the order of the store; then, as JSON, what they are records of

A table is written anew in any case: the lines of other studies are copied from the one that is there, as bytes. That is
done only while all that decides a line is as it was noted (`mark`), the journal still holds the event up to which it
had been read, and size and time of each table are those of the moment in which it was written. Else every line is
made. The file is written after the tables, and may be removed at any time. It knows no line's content.
"""

import json
import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..schemas.verdict import Outcome
from .files import replacing_bytes
from .journal_file import Position

FILE = "lines.cache"
_FORM = 1
_TABLES = 3
_OUTCOMES: tuple[Outcome, ...] = ("accept", "doubt", "reject")
_COUNTS = ("accepted", "doubted", "rejected")
_RECORD = np.dtype(
    [("place", "<u4"), ("bytes", "<u4", (_TABLES,)), ("attempts", "<u2"), ("outcome", "u1"), ("repaired", "u1")]
)
_PACKED = struct.Struct("<4IH2B")  # the same
_AT_ONCE = 1 << 20  # bytes that are copied, or records that are added up
_HEAD = 1 << 16  # bytes of JSON at most


class Known(NamedTuple):
    """What the tables in a folder hold."""

    upto: Position
    records: NDArray[Any]


class TableWriter:
    """Tables that are written from the first study to the last; `rewriting` makes one."""

    def __init__(self, known: Known | None, old: Sequence[BinaryIO], new: Sequence[BinaryIO], index: BinaryIO) -> None:
        self._old, self._new, self._index = old, new, index
        self._records = np.empty(0, _RECORD) if known is None else known.records
        self._at = 0
        self.places_known = True
        self.count = Counter[str]()

    def put(
        self, place: int | None, tables: tuple[bytes, bytes, bytes], attempts: int, outcome: Outcome, repaired: bool
    ) -> None:
        """The next study that has new lines; those of studies before it are copied.

        Args:
            place: of the study in the store; none if the store lacks it.
            tables: its lines in each; empty if it has none there.
            attempts: candidates.
            outcome: of the study.
            repaired: whether it was accepted at a later attempt.
        """
        if place is None:
            self.places_known, place = False, 0
        if len(self._records):
            self._copy(int(np.searchsorted(self._records["place"], place)))
            if self._at < len(self._records) and self._records["place"][self._at] == place:
                for table, length in zip(self._old, self._records["bytes"][self._at].tolist(), strict=True):
                    table.seek(length, os.SEEK_CUR)
                self._at += 1
        for table, lines in zip(self._new, tables, strict=True):
            table.write(lines)
        number = _OUTCOMES.index(outcome)
        self._index.write(_PACKED.pack(place, *map(len, tables), attempts, number, repaired))
        self.count[_COUNTS[number]] += 1
        self.count["attempts"] += attempts
        self.count["repaired"] += repaired

    def finish(self) -> None:
        """Copy the lines of the studies that are left."""
        self._copy(len(self._records))

    def _copy(self, end: int) -> None:
        while self._at < end:
            records = self._records[self._at : min(end, self._at + _AT_ONCE)]
            self._at += len(records)
            for source, target, length in zip(self._old, self._new, records["bytes"].sum(axis=0).tolist(), strict=True):
                _copy(source, target, length)
            self._index.write(records.tobytes())
            for name in ("attempts", "repaired"):
                self.count[name] += int(records[name].sum())
            for name, count in zip(_COUNTS, np.bincount(records["outcome"], minlength=3).tolist(), strict=True):
                self.count[name] += count


@contextmanager
def rewriting(
    folder: Path, names: Sequence[str], mark: Mapping[str, Any], now: Position, known: Known | None
) -> Iterator[TableWriter]:
    """Write tables again; they take their names together when the block ends, and what they hold is noted.

    Args:
        folder: the run's.
        names: of three tables.
        mark: all that decides what a line holds, but for the journal.
        now: the last event of the journal, which is read after this.
        known: as `known_lines` gives it.
    """
    files = [folder / name for name in names]
    with ExitStack() as outer:
        index = outer.enter_context(replacing_bytes(folder / FILE, private=True))
        with ExitStack() as inner:
            old = [] if known is None else [inner.enter_context(file.open("rb")) for file in files]
            new = [inner.enter_context(replacing_bytes(file)) for file in files]
            writer = TableWriter(known, old, new, index)
            yield writer
            writer.finish()
        index.write(b"\n" + json.dumps(_head(files, mark, now)).encode())
    if not writer.places_known:
        (folder / FILE).unlink()


def known_lines(folder: Path, names: Sequence[str], mark: Mapping[str, Any]) -> Known | None:
    """What the tables in a folder hold, if that is known; whether the journal has `upto` is for the caller to see."""
    try:
        with (folder / FILE).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _HEAD))
            text = file.read().rpartition(b"\n")[2]
        head = json.loads(text)
        upto = Position(*head["upto"])
        if head != json.loads(json.dumps(_head([folder / name for name in names], mark, upto))):
            return None
        records = np.memmap(folder / FILE, _RECORD, "r", shape=((size - len(text) - 1) // _RECORD.itemsize,))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Known(upto, records)


def _head(files: Sequence[Path], mark: Mapping[str, Any], upto: Position) -> dict[str, Any]:
    stats = [file.stat() for file in files]
    tables = [[file.name, one.st_size, one.st_mtime_ns] for file, one in zip(files, stats, strict=True)]
    return {"form": _FORM, "mark": mark, "upto": upto, "tables": tables}


def _copy(source: BinaryIO, target: BinaryIO, length: int) -> None:
    while length:
        content = source.read(min(length, _AT_ONCE))
        if not content:
            raise OSError("a table was cut while it was read")
        target.write(content)
        length -= len(content)
