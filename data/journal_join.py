"""Joining journals: several runs' events, and their readers' decisions, in one new journal.

Events are copied as they lie there, in the order of their times, and those of one journal stay in its order. Whether
the runs belong together is for the caller to say; that no study is in two of them is seen to here.
"""

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ..schemas.errors import InputError, RunError, why
from . import digest
from .high_water import HighWater
from .journal_file import COLUMNS, INSERT, as_event, connect
from .readings import Readings

_AT_ONCE = 2_000  # events


class Copied(NamedTuple):
    """An event and its digest, without their number."""

    at: float
    event: tuple[Any, ...]  # COLUMNS
    digest: tuple[Any, ...]


def join(sources: Sequence[Path], out: Path) -> int:
    """Make a journal of the journals of several runs; how many events it holds.

    Args:
        sources: run folders that no process writes to.
        out: a folder without a journal.

    Raises:
        InputError: a study is in two of them.
        RunError: a journal cannot be read or written.
    """
    _check_apart(sources)
    path = out / "journal.db"
    copied = heapq.merge(*(_events(source) for source in sources), key=lambda one: one.at)
    seq = 0
    with closing(connect(path, writable=True)) as connection:
        try:
            while batch := list(islice(copied, _AT_ONCE)):
                numbered = list(enumerate(batch, seq + 1))
                with connection:
                    connection.execute("BEGIN")
                    connection.executemany(INSERT, ((number, *one.event) for number, one in numbered))
                    connection.executemany(digest.INSERT, ((number, *one.digest) for number, one in numbered))
                seq += len(batch)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise RunError(
                f"could not write to the journal ({why(error)}); "
                "make room on the disk, then give the same command again",
                file=path,
            ) from None
    with closing(HighWater(path, seq)):
        pass
    _join_readings(sources, out)
    return seq


def _events(source: Path) -> Iterator[Copied]:
    path = source / "journal.db"
    with closing(connect(path, writable=False)) as connection:
        try:
            there = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'digest'"
            ).fetchone()
            if there:
                names = ", ".join(f"digest.{name}" for name in digest.Digest._fields[1:])
                columns = ", ".join(f"events.{name}" for name in COLUMNS.split(", "))
                rows = connection.execute(f"SELECT {columns}, {names} FROM events JOIN digest USING (seq) ORDER BY seq")  # noqa: S608 constants
                width = len(COLUMNS.split(", "))
                for row in rows:
                    yield Copied(row[3], row[:width], row[width:])
                return
            for row in connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq"):  # noqa: S608 constants
                yield Copied(row[3], row, digest.digest(0, as_event(row))[1:])
        except sqlite3.Error as error:
            raise RunError(f"the journal is damaged ({why(error)}); restore it from a copy", file=path) from None


def _check_apart(sources: Sequence[Path]) -> None:
    """See that no study is in two journals; what is known of them lies in a temporary file."""
    with closing(sqlite3.connect("")) as known:
        known.execute("CREATE TABLE studies (id TEXT PRIMARY KEY, source INTEGER) WITHOUT ROWID")
        for number, source in enumerate(sources):
            path = source / "journal.db"
            with closing(connect(path, writable=False)) as connection:
                try:
                    for (study,) in connection.execute("SELECT DISTINCT study_id FROM events WHERE study_id <> ''"):
                        try:
                            known.execute("INSERT INTO studies VALUES (?, ?)", (study, number))
                        except sqlite3.IntegrityError:
                            (other,) = known.execute("SELECT source FROM studies WHERE id = ?", (study,)).fetchone()
                            raise InputError(
                                f"study '{study}' is in {sources[other]} too; runs that are merged share no study",
                                file=source,
                            ) from None
                except sqlite3.Error as error:
                    raise RunError(
                        f"the journal is damaged ({why(error)}); restore it from a copy", file=path
                    ) from None


def _join_readings(sources: Sequence[Path], out: Path) -> None:
    """Copy what readers decided, if there is anything."""
    target: Readings | None = None
    for source in sources:
        with Readings(source, writable=False) as readings:
            for reading in readings.all():
                target = target or Readings(out, writable=True)
                target.append(reading)
    if target is not None:
        target.close()
