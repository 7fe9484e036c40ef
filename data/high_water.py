"""How many events a journal has held: a number in a file of its own, so that a journal that lost some is noticed.

    journal.mark    the number of the last event that was committed, 20 digits

A commit is on disk before its number is written here, so a journal holds at least so many events, or has lost some:
was emptied, replaced or cut, or its `-wal` file is missing or damaged. Going on with such a journal would ask again,
and pay again, for what was answered.
"""

import os
import sqlite3
from pathlib import Path

from ..schemas.errors import RunError, why

_DIGITS = 20


class HighWater:
    """The file next to a journal, open for writing."""

    def __init__(self, journal: Path, count: int) -> None:
        self._file = os.open(_beside(journal), os.O_CREAT | os.O_WRONLY, 0o666)
        self.note(count)

    def note(self, count: int) -> None:
        """So many events are on disk."""
        os.pwrite(self._file, f"{count:0{_DIGITS}}\n".encode(), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def check_whole(journal: Path, *, new: bool = False) -> int:
    """The number of events of a journal, which is left as it is.

    Args:
        journal: its file.
        new: a journal may be begun here, or one whose making was cut off may be made anew.

    Raises:
        RunError: it is missing, empty, damaged, or holds fewer events than it has held; names the file at fault.
    """
    expected = _noted(journal)  # first: a process that writes raises it behind its commits
    wal = journal.with_name(journal.name + "-wal")
    had_wal = wal.is_file()
    if new and not _beside(journal).exists():
        return _begun(journal)
    if not journal.is_file():
        raise RunError(f"the journal is missing; {_ADVICE}", file=journal)
    if not journal.stat().st_size:
        raise RunError(f"the journal is empty; {_ADVICE}", file=journal)
    connection = _connect(journal)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            raise RunError(f"the journal holds no table of events: it is empty or is none; {_ADVICE}", file=journal)
        count, last = connection.execute("SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM events").fetchone()
    except sqlite3.Error as error:
        raise RunError(f"the journal cannot be opened ({why(error)}); {_ADVICE}", file=journal) from None
    finally:
        connection.close()
    lost = max(expected, last) - count
    if lost > 0:
        cut = last > count
        what = "the journal was cut" if cut else f"{wal.name} is {'damaged or cut' if had_wal else 'missing'}"
        raise RunError(
            f"{lost:,} of {max(expected, last):,} events are missing, perhaps because {what}; {_ADVICE}", file=journal
        )
    return int(count)


def _begun(journal: Path) -> int:
    """The events of a journal that has no mark yet: none, unless its mark was removed."""
    if not journal.exists():
        return 0
    connection = _connect(journal)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables - {"events"}:
            raise RunError("is a database of something else; choose another --out", file=journal)
        return int(connection.execute("SELECT COUNT(*) FROM events").fetchone()[0]) if tables else 0
    except sqlite3.Error as error:
        raise RunError(f"the journal cannot be opened ({why(error)}); {_ADVICE}", file=journal) from None
    finally:
        connection.close()


def _connect(journal: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True)


_ADVICE = "restore it from a copy, or choose another --out: going on here would pay again for what was answered"


def _beside(journal: Path) -> Path:
    return journal.with_suffix(".mark")


def _noted(journal: Path) -> int:
    try:
        return int(_beside(journal).read_bytes()[:_DIGITS])
    except (OSError, ValueError):
        return 0  # a journal of an earlier version has none
