"""A journal's file: its tables, what becomes of one that an earlier version wrote, and an event as a row.

    events    the events as they were appended: key, state, study, time, body (JSON), raw bytes
    by_key    an index of them by request, from which states are read
    digest    what sums need of each event (digest.py)
    ends      studies that have come to an end (ends.py); some journals of version 2 have none

Version 1 had no digest, and an event `planned` before each departure. It is read as it is; opened for writing it gets a
digest and is of version 2 from then on, which the code that wrote it refuses.
"""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic_core import PydanticSerializationError, from_json, to_json

from ..schemas.errors import NewerRunError, RunError, why
from ..schemas.run import Event
from . import digest, ends

VERSION = 2
COLUMNS = "key, state, study_id, at, body, raw"
INSERT = "INSERT INTO events (seq, key, state, study_id, at, body, raw) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Position(NamedTuple):
    """An event of a journal, by which to know later whether all before it is still there; the end of an empty one."""

    seq: int = 0
    key: str = ""
    at: float = 0.0


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open a journal's file; one that is writable is made, or brought to this version, first.

    Raises:
        RunError: it cannot be opened.
        NewerRunError: a later version wrote it.
    """
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={'rwc' if writable else 'ro'}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise NewerRunError(f"written by a newer tenstep (journal version {version}); update tenstep", file=path)
        if writable:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if version < VERSION:
                _bring_up(connection)
            connection.execute(ends.TABLE)
    except sqlite3.Error as error:
        raise RunError(
            f"the journal cannot be opened ({why(error)}); "
            "see that you may read and write it, or restore it from a copy",
            file=path,
        ) from None
    return connection


def _bring_up(connection: sqlite3.Connection) -> None:
    """Make the tables of this version, or those that are missing, at once or not at all."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, "
            "state TEXT NOT NULL, study_id TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL, raw BLOB)"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS by_key ON events (key, state)")
        connection.execute("DROP INDEX IF EXISTS facts")  # what version 1 had in place of the digest
        digest.create(connection)
        connection.execute(f"PRAGMA user_version={VERSION}")


def as_row(seq: int, event: Event) -> tuple[int, str, str, str, float, str, bytes | None]:
    """An event as it is stored."""
    try:
        body = to_json(event.body).decode()
    except PydanticSerializationError:  # a lone surrogate, which JSON can escape and UTF-8 cannot hold
        body = json.dumps(event.body, separators=(",", ":"))
    return seq, event.key, event.state, event.study_id, event.at, body, event.raw


def as_event(row: Sequence[object]) -> Event:
    """A row of COLUMNS as an event."""
    key, state, study_id, at, body, raw = row
    try:
        fields = from_json(str(body))
    except ValueError:  # half a surrogate pair, which it does not take
        fields = json.loads(str(body))
    return Event.model_validate(
        {"key": key, "state": state, "study_id": study_id, "at": at, "body": fields, "raw": raw}
    )
