"""Readers' decisions in a run's journal: an append-only table of its own, and what the decisions amount to.

The table lies in journal.db, so a run and its readings move together, and its writes are as durable (WAL,
synchronous=FULL). Several servers, and a running `curate`, may write to the file at once: SQLite lets one in at a time,
and the others wait. A decision is identified by candidate, reader, kind and revision; writing the same one twice is
refused, so a double submit cannot count twice.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self

from ..schemas.errors import RunError, why
from ..schemas.reading import Decision, Reading

_WAIT = 30.0  # seconds to wait for another writer
_TABLE = (
    "CREATE TABLE IF NOT EXISTS readings (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, reader TEXT NOT NULL, "
    "kind TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (key, reader, kind, revision))"
)

Provenance = Literal["single", "unanimous", "adjudicated", "disputed", "unsure"]


class Final(NamedTuple):
    """What all readings of one candidate amount to; `decision` is none while readers differ or are unsure."""

    decision: Literal["accept", "reject"] | None
    provenance: Provenance
    readers: tuple[str, ...]


class Readings:
    """The readings of one run. Several processes may write; each object is used by one thread at a time."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.path = folder / "journal.db"
        try:
            self._db = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={'rw' if writable else 'ro'}",
                uri=True,
                timeout=_WAIT,
                isolation_level=None,
                check_same_thread=False,
            )
            if writable:
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.execute(_TABLE)
            self._there = bool(
                self._db.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='readings'").fetchone()
            )
        except sqlite3.Error as error:
            raise RunError(
                f"the readings cannot be opened ({why(error)}); see that you may read and write the file",
                file=self.path,
            ) from None

    def append(self, reading: Reading) -> bool:
        """Write one decision durably.

        Returns:
            False if this revision is there already: the same form was sent twice, or from two tabs.

        Raises:
            RunError: it could not be written.
        """
        try:
            self._db.execute(
                "INSERT INTO readings (key, reader, kind, revision, body) VALUES (?, ?, ?, ?, ?)",
                (reading.key, reading.reader, reading.kind, reading.revision, reading.model_dump_json()),
            )
        except sqlite3.IntegrityError:
            return False
        except sqlite3.Error as error:
            raise RunError(
                f"the decision could not be written ({why(error)}); make room on the disk, and decide again",
                file=self.path,
            ) from None
        return True

    def all(self) -> Iterator[Reading]:
        """Every revision, in the order of writing."""
        if self._there:
            for (body,) in self._db.execute("SELECT body FROM readings ORDER BY seq"):
                yield Reading.model_validate_json(body)

    def current(self, key: str | None = None) -> list[Reading]:
        """The last revision of each reader, kind and candidate, without withdrawn ones, in the order of writing."""
        if not self._there:
            return []
        where, values = ("WHERE key = ? ", (key,)) if key else ("", ())
        rows = self._db.execute(
            f"SELECT body FROM readings WHERE seq IN (SELECT MAX(seq) FROM readings {where}"  # noqa: S608 constants
            "GROUP BY key, reader, kind) ORDER BY seq",
            values,
        )
        found = (Reading.model_validate_json(body) for (body,) in rows)
        return [reading for reading in found if reading.decision is not None]

    def last(self) -> int:
        """The number of the last reading written; it changes when anybody decides. 0 if there is none."""
        row = self._db.execute("SELECT MAX(seq) FROM readings").fetchone() if self._there else (0,)
        return int(row[0] or 0)

    def revision(self, key: str, reader: str, kind: str = "reading") -> int:
        """The last revision of a reader on a candidate; 0 if there is none."""
        row = self._db.execute(
            "SELECT MAX(revision) FROM readings WHERE key = ? AND reader = ? AND kind = ?", (key, reader, kind)
        ).fetchone()
        return int(row[0] or 0)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def final(readings: Iterable[Reading]) -> Final:
    """What the current readings of ONE candidate amount to.

    An adjudication decides. Else readers that agree decide together; readers that differ leave it open.
    """
    given = list(readings)
    readers = tuple(dict.fromkeys(reading.reader for reading in given))
    if settled := [reading.decision for reading in given if reading.kind == "adjudication"]:
        return Final(_decided(settled[-1]), "adjudicated", readers)
    said = {reading.decision for reading in given}
    if len(said) > 1:
        return Final(None, "disputed", readers)
    decision = _decided(said.pop() if said else None)
    return Final(decision, ("unsure" if decision is None else "unanimous" if len(readers) > 1 else "single"), readers)


def finals(folder: Path) -> Mapping[str, Final]:
    """For every candidate that was read: what its readings amount to. Empty where there are no readings."""
    by_key: dict[str, list[Reading]] = defaultdict(list)
    with Readings(folder, writable=False) as readings:
        for reading in readings.current():
            by_key[reading.key].append(reading)
    return {key: final(given) for key, given in by_key.items()}


def _decided(decision: Decision | None) -> Literal["accept", "reject"] | None:
    return None if decision == "unsure" else decision
