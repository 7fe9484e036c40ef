"""Kept traces: the database in which a run's traces are compared (template_trace.py), left by one call for the next.

    sketches.cache   as `tenstep curate` left it at its end, with a note of what it is of

The next call goes on with the file under another name, and gives it back its name at the end; so a call that was killed
leaves none, and the next one makes it again from the journal. It does so too where the note does not fit: other code,
recipe, store or journal, a verdict since, a lower limit. The file may be removed at any time; it holds no text.
"""

import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..data.files import PART, sync_folder
from ..data.journal import Journal
from ..data.journal_file import Position

FILE = "sketches.cache"
_FORM = 1  # of the database


class _Note(NamedTuple):
    form: int
    mark: str
    limit: int | None
    traces: int
    upto: Position


class KeptTraces:
    """Those of one run; use it in a `with` block, which puts them back if there is a note in them.

    Args:
        folder: the run's.
        journal: the run's.
        mark: of all that a verdict depends on (settled.py).
        limit: how many studies of the store this call looks at; all if none.
    """

    def __init__(self, folder: Path, journal: Journal, mark: str, limit: int | None) -> None:
        self._file, self._place = folder / FILE, folder / (FILE + PART)
        self._journal, self._mark, self._limit = journal, mark, limit
        self._is_noted = False

    def taken(self, last: int) -> tuple[Path, int]:
        """Where the database is worked on, and how many traces it holds: none if what is there does not fit.

        Args:
            last: the place of the last study that is passed over; -1 if none is.
        """
        self._place.unlink(missing_ok=True)
        note = self._read()
        if note is not None and self._fits(note, last):
            self._file.replace(self._place)
            return self._place, note.traces
        self._file.unlink(missing_ok=True)
        os.close(os.open(self._place, os.O_CREAT | os.O_WRONLY, 0o600))  # SQLite leaves it so
        return self._place, 0

    def _read(self) -> _Note | None:
        try:
            with closing(sqlite3.connect(f"{self._file.resolve().as_uri()}?mode=ro", uri=True)) as database:
                (text,) = database.execute("SELECT note FROM notes ORDER BY rowid DESC").fetchone()
            form, mark, limit, traces, upto = json.loads(text)
            return _Note(form, mark, limit, traces, Position(*upto))
        except (sqlite3.Error, ValueError, TypeError):
            return None

    def _fits(self, note: _Note, last: int) -> bool:
        if (note.form, note.mark) != (_FORM, self._mark) or not self._journal.holds(note.upto):
            return False
        lacks_none = note.limit is None or last < note.limit
        has_no_others = self._limit is None or (note.limit is not None and note.limit <= self._limit)
        return lacks_none and has_no_others and not self._journal.judged_since(note.upto)

    def note(self, traces: int) -> str:
        """What the database is of, once all that was compared is in the journal."""
        self._is_noted = True
        return json.dumps(_Note(_FORM, self._mark, self._limit, traces, self._journal.position()))

    def __enter__(self) -> "KeptTraces":
        return self

    def __exit__(self, *error: Any) -> None:
        with suppress(OSError):  # the folder is gone, or the disk is full: the next call makes it again
            if self._is_noted and error[0] is None:
                with self._place.open("rb") as file:
                    os.fsync(file.fileno())
                self._place.replace(self._file)
                sync_folder(self._file.parent)
            else:
                self._place.unlink(missing_ok=True)
