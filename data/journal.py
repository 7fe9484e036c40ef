"""The journal: an append-only log of events in SQLite, durable when `append`'s future is done.

One thread writes. It takes whatever has been appended since its last commit and commits it at once (group
commit), so that the price of a disk flush is shared by everything that is in flight. WAL with
`synchronous=FULL`: a commit survives a kill and a power cut. Nothing is ever updated or deleted; the state
of a request is the state of its last event. A journal that holds fewer events than it has held (high_water.py) is
refused, whoever opens it.

This file knows events and states. It does not know what a request is, nor when to send one.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

from ..schemas.errors import RunError, why
from ..schemas.run import Event, State
from . import digest, ends
from .ends import End, Ended
from .high_water import HighWater, check_whole
from .journal_file import COLUMNS, INSERT, Position, as_event, as_row, connect
from .query import rows_of
from .sums import Sums, snapshot

_BATCH = 4096
_POSITION = "SELECT seq, key, at FROM events"
_SINCE = """
AND seq IN (SELECT seq FROM digest WHERE state = ? AND study IN (SELECT study FROM digest WHERE state = ? AND seq > ?))
"""

_Item = tuple[tuple[Event | End, ...], "Future[None]"] | None


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
        self._reader = connect(path, writable=writable)
        self._index: Path | None = None
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._broken: Exception | None = None
        self._writer: threading.Thread | None = None
        if writable:
            self._mark = HighWater(path, self.held)
            self._inode = path.stat().st_ino
            self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
            self._writer.start()

    def append(self, *events: Event | End) -> "Future[None]":
        """Queue events, and ends of studies behind theirs; they are on disk, together, when the future is done.

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

    def state(self, key: str) -> State | None:
        """The state of one request; none if there is no event of it."""
        rows = self._select("SELECT state FROM events WHERE key = ? ORDER BY seq DESC LIMIT 1", (key,))
        return next((State(state) for (state,) in rows), None)

    def keys_in(self, *states: State) -> list[str]:
        """The requests that stand in one of these states."""
        rows = self._select("SELECT key, state FROM (SELECT key, state, MAX(seq) FROM events GROUP BY key)")
        return [key for key, state in rows if state in states]

    def standing(self) -> dict[State, int]:
        """How many requests are in each state."""
        return Sums(self._reader, self.path).standing()

    def events(self, *, raw: bool = True) -> Iterator[Event]:
        """All events in the order they were written; without `raw`, answers' bytes are left on disk."""
        columns = COLUMNS if raw else COLUMNS.replace("raw", "NULL")
        yield from map(as_event, self._select(f"SELECT {columns} FROM events ORDER BY seq"))  # noqa: S608 constants

    def sums(self) -> "AbstractContextManager[Sums]":
        """What can be counted and added up, as it stands now (sums.py)."""
        return snapshot(self._reader, self.path)

    def position(self) -> Position:
        """The last event."""
        return next((Position(*row) for row in self._select(f"{_POSITION} ORDER BY seq DESC LIMIT 1")), Position())

    def holds(self, position: Position) -> bool:
        """Whether this is a journal whose position that was; then all before it is as it was."""
        return not position.seq or next(self._select(f"{_POSITION} WHERE seq = ?", position[:1]), None) == position

    def judged_since(self, position: Position) -> bool:
        """Whether something was judged after that."""
        rows = self._select("SELECT 1 FROM digest WHERE seq > ? AND state = 'judged' LIMIT 1", position[:1])
        return next(rows, None) is not None

    def latest(self, state: State, *, index: Path | None = None, since: Position | None = None) -> Iterator[Event]:
        """For each request that ever reached a state, its last event of that state; in order of first reaching it.

        Args:
            state: the state.
            index: the index file of the run's study store; with it, studies come in the store's order, which does not
                depend on which answer was quicker, and only the requests of one study in the order above.
            since: only requests of studies that have an event of that state behind this one.
        """
        which, values = "", list[Any]([state])
        if since is not None:
            which = _SINCE
            values += [state, state, since.seq]
        last = (
            "SELECT MAX(seq) AS last, MIN(seq) AS first, study_id AS study FROM events "  # noqa: S608 constants
            f"WHERE state = ? {which} GROUP BY key"
        )
        place, order = "", "first"
        if index is not None:
            self._attach(index)
            place, order = "LEFT JOIN store.studies ON store.studies.id = study ", "place, study, first"
        # sorted before the join, so that no answer is held while sorting; without a limit SQLite drops such an order
        places = f"SELECT last FROM ({last}) {place}ORDER BY {order} LIMIT -1"  # noqa: S608 constants
        rows = self._select(f"SELECT {COLUMNS} FROM ({places}) CROSS JOIN events ON seq = last", values)  # noqa: S608 constants
        yield from map(as_event, rows)

    def _attach(self, index: Path) -> None:
        """Let queries join a study store's index, as the schema `store`; a journal has one store."""
        if self._index is None:
            try:
                self._reader.execute("ATTACH ? AS store", (f"{index.resolve().as_uri()}?mode=ro&immutable=1",))
            except sqlite3.Error as error:
                raise RunError(f"the store's index cannot be read ({why(error)}); ingest again", file=index) from None
            self._index = index
        assert self._index == index

    def ended(self, mark: str, index: Path, limit: int | None = None) -> Ended:
        """The studies that have come to an end, if that still holds (ends.py); `index` as for `latest`."""
        self._attach(index)
        return Ended(self._reader, self.path, mark, limit)

    def has_other_answers(self) -> bool:
        """Whether an answer was concluded that is no candidate, such as a verifier's."""
        rows = self._select("SELECT 1 FROM digest WHERE state = 'judged' AND outcome IS NULL LIMIT 1")
        return next(rows, None) is not None

    def last(self, key: str, state: State) -> Event | None:
        """A request's last event of one state."""
        rows = self._select(
            f"SELECT {COLUMNS} FROM events WHERE key = ? AND state = ? ORDER BY seq DESC LIMIT 1",  # noqa: S608 the columns are a constant
            (key, state),
        )
        return next(map(as_event, rows), None)

    def _select(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from rows_of(self._reader, sql, values)
        except sqlite3.Error as error:
            raise RunError(f"the journal is damaged ({why(error)}); restore it from a copy", file=self.path) from None

    def received(self, key: str) -> Event | None:
        """What came for the last sending of a request, whatever was made of it; none if nothing came."""
        row = self._reader.execute(
            f"SELECT {COLUMNS} FROM events WHERE key = ? AND state IN ('received', 'in_flight') "  # noqa: S608 the columns are a constant
            "ORDER BY seq DESC LIMIT 1",
            (key,),
        ).fetchone()
        found = None if row is None else as_event(row)
        return found if found is not None and found.state is State.RECEIVED else None

    def reasons(self) -> dict[str, int]:
        """Why requests stand without an answer, with how many do; the commonest first."""
        rows = self._select(
            "SELECT json_extract(body, '$.reason') AS reason, COUNT(*) AS n FROM "
            "(SELECT state AS last_state, MAX(seq) AS last FROM events INDEXED BY by_key GROUP BY key) "
            "CROSS JOIN events ON seq = last WHERE last_state IN ('failed', 'unknown', 'refused') "
            "GROUP BY reason ORDER BY n DESC, reason"
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
        connection = connect(self.path, writable=True)
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
                    connection.execute("BEGIN IMMEDIATE")  # a reader's server may write to the same journal
                    (last,) = connection.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()
                    numbered: list[tuple[int, Event]] = []
                    ended: list[tuple[int, End]] = []
                    for one in (one for items, _ in taken for one in items):
                        if isinstance(one, End):
                            ended.append((last, one))
                        else:
                            last += 1
                            numbered.append((last, one))
                    connection.executemany(INSERT, (as_row(*one) for one in numbered))
                    connection.executemany(digest.INSERT, (digest.digest(*one) for one in numbered))
                    connection.executemany(ends.INSERT, (ends.row(*one) for one in ended))
                self._mark.note(last)
            except Exception as error:  # noqa: BLE001 whatever it was, every waiter must hear of it
                self._broken = error
                for done in _waited_for(taken):
                    done.set_exception(
                        RunError(
                            f"could not write to the journal ({why(error)}); "
                            "make room on the disk, then give the same command again",
                            file=self.path,
                        )
                    )
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


def _waited_for(taken: "list[tuple[tuple[Event | End, ...], Future[None]]]") -> "Iterator[Future[None]]":
    """The futures that were not cancelled; a waiter that left must not stop the writer."""
    return (done for _, done in taken if done.set_running_or_notify_cancel())
