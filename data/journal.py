"""The journal: an append-only log of events in SQLite, durable when `append`'s future is done.

One thread writes. It takes whatever has been appended since its last commit and commits it at once (group
commit), so that the price of a disk flush is shared by everything that is in flight. WAL with
`synchronous=FULL`: a commit survives a kill and a power cut. Nothing is ever updated or deleted; the state
of a request is the state of its last event. A journal that holds fewer events than it has held (high_water.py) is
refused, whoever opens it.

This file knows events and states. It does not know what a request is, nor when to send one.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, Self

from pydantic_core import PydanticSerializationError, from_json, to_json

from ..schemas.errors import NewerRunError, RunError
from ..schemas.run import Event, State
from ..schemas.verdict import Outcome
from .high_water import HighWater, check_whole

VERSION = 1
_COLUMNS = "key, state, study_id, at, body, raw"
_BATCH = 4096

# What sums over a journal need of an event's body, taken out by SQLite; an index holds it, so that bodies stay on disk.
_FACTS = (
    "json_extract(body, '$.teacher')",
    "json_extract(body, '$.attempt')",
    "json_extract(body, '$.tokens')",
    "json_extract(body, '$.usd')",
    "json_type(body, '$.usage')",
    "json_extract(body, '$.usage.input_tokens')",
    "json_extract(body, '$.usage.output_tokens')",
    "json_extract(body, '$.sent')",
    "json_extract(body, '$.waits')",
    "json_type(body, '$.candidate')",
    "json_extract(body, '$.candidate.teacher')",
    "json_extract(body, '$.candidate.attempt')",
    "json_extract(body, '$.candidate.cost_usd')",
    "json_extract(body, '$.candidate.usage.input_tokens')",
    "json_extract(body, '$.candidate.usage.output_tokens')",
    "json_extract(body, '$.verdict.resolution.by')",
    "json_extract(body, '$.verdict.resolution.outcome')",
    "instr(json_extract(body, '$.verdict.findings'), '\"severity\":\"error\"')",
    "instr(json_extract(body, '$.verdict.findings'), '\"severity\":\"doubt\"')",
)
_INDEX = f"CREATE INDEX IF NOT EXISTS facts ON events (seq, key, state, study_id, {', '.join(_FACTS)})"

_Item = tuple[tuple[Event, ...], "Future[None]"] | None


class Fact(NamedTuple):
    """An event without its texts; None where it does not say."""

    key: str
    state: State
    study_id: str
    teacher: str | None  # in_flight: whom it asks; in runs of earlier versions, planned says it
    attempt: int | None
    tokens: int | None  # in_flight: what was reserved
    usd: float | None  # in_flight: the same; else what was used
    usage: str | None  # "object" if the provider counted
    input_tokens: int | None
    output_tokens: int | None
    sent: int | None  # 0: it was not, after all
    waits: int | None  # 1: its answer comes in a file or a batch
    candidate: str | None  # "object" if a candidate was judged; a request of a judge or verifier has none
    author: str | None  # judged: whose candidate it is
    author_attempt: int | None
    author_usd: float | None
    author_input_tokens: int | None
    author_output_tokens: int | None
    resolved_by: str | None
    resolved_outcome: Outcome | None
    error: int | None  # judged: not 0 if a finding is one
    doubt: int | None

    @property
    def outcome(self) -> Outcome:
        """Of a judged candidate: what `Verdict.outcome` says."""
        if self.resolved_by == "reader" and self.resolved_outcome:
            return self.resolved_outcome
        return "reject" if self.error else (self.resolved_outcome or "doubt") if self.doubt else "accept"


class Journal:
    """Events of one run. Use `append` from any thread; read at any time, also while another process writes."""

    def __init__(self, path: Path, *, writable: bool, new: bool | None = None) -> None:
        """Open a journal.

        Args:
            path: its file.
            writable: whether events will be appended.
            new: whether it may be made; by default, a writable one that is not there is.

        Raises:
            RunError: it cannot be opened, or has lost events.
            NewerRunError: a later version wrote it.
        """
        self.path = path
        self.held = check_whole(path, new=writable and not path.exists() if new is None else new)
        self._reader = _connect(path, writable=writable)
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._broken: Exception | None = None
        self._writer: threading.Thread | None = None
        if writable:
            self._mark = HighWater(path, self.held)
            self._inode = path.stat().st_ino
            self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
            self._writer.start()

    def append(self, *events: Event) -> "Future[None]":
        """Queue events; they are on disk, together, when the future is done.

        Raises (from the future):
            RunError: they could not be written (disk full, folder gone); nothing more will be taken.
        """
        done: Future[None] = Future()
        if self._broken or self._writer is None:
            done.set_exception(
                RunError(f"the journal takes no more events: {self._broken or 'read-only'}", file=self.path)
            )
        else:
            self._queue.put((events, done))
        return done

    def states(self) -> dict[str, State]:
        """The state of every request, by key."""
        return {key: State(state) for key, state in self._select("SELECT key, state FROM events ORDER BY seq")}

    def standing(self) -> dict[State, int]:
        """How many requests are in each state."""
        rows = self._select(
            "SELECT state, COUNT(*) FROM (SELECT key, state, MAX(seq) FROM events GROUP BY key) GROUP BY state"
        )
        return {State(state): n for state, n in rows}

    def events(self, *, raw: bool = True) -> Iterator[Event]:
        """All events in the order they were written; without `raw`, answers' bytes are left on disk."""
        columns = _COLUMNS if raw else _COLUMNS.replace("raw", "NULL")
        yield from map(_event, self._select(f"SELECT {columns} FROM events ORDER BY seq"))  # noqa: S608 constants

    def facts(self) -> Iterator[Fact]:
        """All events in the order they were written, each without its texts: quick, and small, at any size."""
        indexed = next(self._select("SELECT 1 FROM sqlite_master WHERE name = 'facts'"), None) is not None
        rows = self._select(
            f"SELECT key, state, study_id, {', '.join(_FACTS)} FROM events "  # noqa: S608 constants
            f"{'INDEXED BY facts' if indexed else ''} ORDER BY seq"
        )
        for key, state, *more in rows:
            yield Fact(key, State(state), *more)

    def latest(self, state: State) -> Iterator[Event]:
        """For each request that ever reached a state, its last event of that state; in order of first reaching it."""
        rows = self._select(
            f"SELECT {_COLUMNS} FROM events JOIN (SELECT MAX(seq) AS last, MIN(seq) AS first FROM events "  # noqa: S608 the columns are a constant
            "WHERE state = ? GROUP BY key) ON seq = last ORDER BY first",
            (state,),
        )
        yield from map(_event, rows)

    def last(self, key: str, state: State) -> Event | None:
        """A request's last event of one state."""
        rows = self._select(
            f"SELECT {_COLUMNS} FROM events WHERE key = ? AND state = ? ORDER BY seq DESC LIMIT 1",  # noqa: S608 the columns are a constant
            (key, state),
        )
        return next(map(_event, rows), None)

    def _select(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._reader.execute(sql, values)
        except sqlite3.Error as error:
            raise RunError(f"the journal is damaged ({error}); restore it from a copy", file=self.path) from None

    def received(self, key: str) -> Event | None:
        """What came for the last sending of a request, whatever was made of it; none if nothing came."""
        row = self._reader.execute(
            f"SELECT {_COLUMNS} FROM events WHERE key = ? AND state IN ('received', 'in_flight') "  # noqa: S608 the columns are a constant
            "ORDER BY seq DESC LIMIT 1",
            (key,),
        ).fetchone()
        found = None if row is None else _event(row)
        return found if found is not None and found.state is State.RECEIVED else None

    def reasons(self) -> dict[str, int]:
        """Why requests stand without an answer, with how many do; the commonest first."""
        rows = self._reader.execute(
            "SELECT json_extract(body, '$.reason') AS reason, COUNT(*) AS n FROM events JOIN "
            "(SELECT MAX(seq) AS last FROM events GROUP BY key) ON seq = last "
            "WHERE state IN ('failed', 'unknown', 'refused') GROUP BY reason ORDER BY n DESC, reason"
        )
        return {str(reason or "no reason was noted"): n for reason, n in rows}

    def count(self) -> int:
        """How many events there are."""
        return int(next(self._select("SELECT COUNT(*) FROM events"))[0])

    def unread(self) -> int:
        """How many requests stand as unknown though their last sending was answered: the answer cannot be read."""
        (count,) = self._reader.execute(
            "SELECT COUNT(*) FROM (SELECT key, state, MAX(seq) FROM events GROUP BY key) AS last "
            "WHERE state = 'unknown' AND (SELECT state FROM events WHERE key = last.key "
            "AND state IN ('received', 'in_flight') ORDER BY seq DESC LIMIT 1) = 'received'"
        ).fetchone()
        return int(count)

    def close(self) -> None:
        """Write what was appended, then close."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
            self._mark.close()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        connection = _connect(self.path, writable=True)
        stop = False
        while not stop:
            batch = [self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            stop = None in batch
            taken = [item for item in batch if item is not None]
            try:
                if self._broken:
                    raise self._broken
                if not self._in_place():
                    raise OSError("the run's folder was removed, or its journal was replaced")
                with connection:
                    connection.execute("BEGIN")
                    connection.executemany(
                        f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 the columns are a constant
                        [_row(event) for events, _ in taken for event in events],
                    )
                self._mark.note(*connection.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone())
            except Exception as error:  # noqa: BLE001 whatever it was, every waiter must hear of it
                self._broken = error
                for done in _waited_for(taken):
                    done.set_exception(RunError(f"could not write to the journal: {error}", file=self.path))
            else:
                for done in _waited_for(taken):
                    done.set_result(None)
        connection.close()

    def _in_place(self) -> bool:
        """Whether the file still bears its name: SQLite writes on into a file that was removed."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False


def _waited_for(taken: "list[tuple[tuple[Event, ...], Future[None]]]") -> "Iterator[Future[None]]":
    """The futures that were not cancelled; a waiter that left must not stop the writer."""
    return (done for _, done in taken if done.set_running_or_notify_cancel())


def _connect(path: Path, *, writable: bool) -> sqlite3.Connection:
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
            if version == 0:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, "
                    "state TEXT NOT NULL, study_id TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL, raw BLOB)"
                )
                connection.execute("CREATE INDEX IF NOT EXISTS by_key ON events (key, state)")
                connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute(_INDEX)
    except sqlite3.Error as error:
        raise RunError(f"the journal cannot be opened ({error})", file=path) from None
    return connection


def _row(event: Event) -> tuple[str, str, str, float, str, bytes | None]:
    try:
        body = to_json(event.body).decode()
    except PydanticSerializationError:  # a lone surrogate, which JSON can escape and UTF-8 cannot hold
        body = json.dumps(event.body, separators=(",", ":"))
    return event.key, event.state, event.study_id, event.at, body, event.raw


def _event(row: Sequence[object]) -> Event:
    key, state, study_id, at, body, raw = row
    try:
        fields = from_json(str(body))
    except ValueError:  # half a surrogate pair, which it does not take
        fields = json.loads(str(body))
    return Event.model_validate(
        {"key": key, "state": state, "study_id": study_id, "at": at, "body": fields, "raw": raw}
    )
