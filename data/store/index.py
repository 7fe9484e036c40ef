"""The index of a study store (SQLite): where each study lies, and, while the store is written, what is done.

    studies   id, patient, place: the study's number in the store, from 0
    files     the parquet files, each with the place of its first study and its number of studies
    parts     the parts of the source that are done, with what they came to; one transaction each
    images    the images' files, as they were when they were hashed
    beside    rejected rows, warnings and traces until they are written out
    meta      the fingerprint of the ingest, so that only the same one is resumed

An id has one study: this is where the second one is noticed, whatever the number of studies.
"""

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from ...schemas.errors import InputError, why
from ..query import rows_of

_TABLES = """
CREATE TABLE IF NOT EXISTS studies (id TEXT PRIMARY KEY, patient TEXT NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (first INTEGER PRIMARY KEY, rows INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (number INTEGER PRIMARY KEY, counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (path TEXT PRIMARY KEY, size INTEGER, modified INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beside (part TEXT NOT NULL, line TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_OF_THE_DISK = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}


class File(NamedTuple):
    """A parquet file of a store."""

    first: int
    rows: int
    name: str


class Index:
    """An open index. Reading is safe from any thread."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        if writable:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its own files the same mode
        mode = "rwc" if writable else "ro&immutable=1"
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        try:
            self._database = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            if writable:
                self._database.executescript(f"PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; {_TABLES}")
            else:
                self._database.execute("SELECT place FROM studies LIMIT 1")
        except sqlite3.Error as error:
            if path.exists() and not os.access(path, os.R_OK):
                raise InputError("cannot be read; see that you may read the store", file=path) from None
            if writable and error.sqlite_errorcode & 0xFF in _OF_THE_DISK:
                message = f"cannot be written ({why(error)}); see that its disk has room and that you may write there"
                raise InputError(message, file=path) from None
            raise InputError(f"damaged ({why(error)}); ingest again", file=path) from None
        self._lock = threading.Lock()
        self._close = weakref.finalize(self, self._database.close)

    def place(self, study_id: str) -> int | None:
        """A study's number in the store."""
        with self._lock:
            row = self._database.execute("SELECT place FROM studies WHERE id = ?", (study_id,)).fetchone()
        return None if row is None else int(row[0])

    def patient(self, study_id: str) -> str | None:
        """The patient of a study; none if there is no such study."""
        with self._lock:
            row = self._database.execute("SELECT patient FROM studies WHERE id = ?", (study_id,)).fetchone()
        return None if row is None else str(row[0])

    def patients(self) -> Iterator[tuple[str, str]]:
        """All ids with their patients, by place."""
        yield from rows_of(self._database, "SELECT id, patient FROM studies ORDER BY place")

    def files(self) -> list[File]:
        """The parquet files, in order."""
        return [File(*row) for row in self._database.execute("SELECT first, rows, name FROM files ORDER BY first")]

    def __enter__(self) -> Self:
        """A transaction."""
        self._database.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._database.in_transaction:  # a full disk has ended it
            self._database.execute("COMMIT" if kind is None else "ROLLBACK")

    def add_studies(self, studies: Sequence[tuple[str, str]], first: int) -> bool:
        """Ids and patients; they take places from `first` on. False if an id is taken: roll back then."""
        before = self._database.total_changes
        rows = [(id_, patient, place) for place, (id_, patient) in enumerate(studies, first)]
        self._database.executemany("INSERT OR IGNORE INTO studies VALUES (?, ?, ?)", rows)
        return self._database.total_changes - before == len(rows)

    def add_images(self, images: Iterable[tuple[str, int, int]]) -> None:
        """Images' files: path as the study has it, bytes, time of change (ns)."""
        self._database.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", images)

    def image(self, path: str) -> tuple[int, int] | None:
        """Bytes and time of change of an image's file when it was hashed; none if that was not noted."""
        try:
            with self._lock:
                row = self._database.execute("SELECT size, modified FROM images WHERE path = ?", (path,)).fetchone()
        except sqlite3.OperationalError:  # written by an earlier version
            return None
        return None if row is None else (int(row[0]), int(row[1]))

    def add_file(self, file: File) -> None:
        """A parquet file."""
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", file)

    def drop_files(self, files: Iterable[File]) -> None:
        """Forget parquet files."""
        self._database.executemany("DELETE FROM files WHERE first = ?", [(file.first,) for file in files])

    def add_side_lines(self, part: str, lines: Iterable[str]) -> None:
        """Rejected rows, warnings or traces, as JSON."""
        self._database.executemany("INSERT INTO beside VALUES (?, ?)", ((part, line) for line in lines))

    def side_lines(self, part: str) -> Iterator[str]:
        """The same, in order."""
        for (line,) in self._database.execute("SELECT line FROM beside WHERE part = ? ORDER BY rowid", (part,)):
            yield line

    def add_part(self, number: int, counts: object) -> None:
        """A part of the source is done."""
        self._database.execute("INSERT INTO parts VALUES (?, ?)", (number, json.dumps(counts)))

    def parts(self) -> Iterator[tuple[int, dict[str, dict[str, int]]]]:
        """The parts that are done, and what they came to."""
        for number, counts in self._database.execute("SELECT number, counts FROM parts ORDER BY number"):
            yield number, json.loads(counts)

    def meta(self, key: str, value: str | None = None) -> str | None:
        """What was written under `key`, after `value` has been, if there is one."""
        if value is not None:
            self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def finish(self, path: Path) -> None:
        """Write to a new file what readers need: the same bytes for the same studies, however often it was cut off."""
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        database = self._database
        database.execute("ATTACH ? AS finished", (str(path),))
        with self:
            for (statement,) in database.execute(
                "SELECT sql FROM sqlite_master WHERE name IN ('studies', 'files', 'images') ORDER BY name"
            ).fetchall():
                database.execute(statement.replace("CREATE TABLE ", "CREATE TABLE finished.", 1))
            database.execute("INSERT INTO finished.studies SELECT * FROM main.studies ORDER BY id")
            database.execute("INSERT INTO finished.images SELECT * FROM main.images ORDER BY path")
            database.execute("INSERT INTO finished.files SELECT * FROM main.files ORDER BY first")
        database.execute("DETACH finished")

    def close(self) -> None:
        """Close it."""
        self._close()
