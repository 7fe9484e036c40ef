"""Sums over a journal, made by SQLite from its digest (digest.py): states, studies, authors, what was used.

A request that was sent at most once and was answered, judged and never in doubt, which nearly all are, needs only to
be added up. The others (turned away, sent again, without an answer) are what `unusual` names, so that their caller can
go through their events one by one; where every request is like that, as with answers that come in a file, this takes a
second for 25,000 of them.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..schemas.errors import RunError, why
from ..schemas.run import State
from . import digest
from .query import rows_of

# SUM, since COUNT(*) FILTER is younger than some versions of SQLite that Python still comes with
_TABLES = (
    """
    CREATE TEMP TABLE odd AS
    SELECT key, SUM(state = 'in_flight') > 1 OR SUM(state IN ('failed', 'unknown', 'refused')) > 0
        OR (SUM(state = 'in_flight') = 1 AND SUM(state = 'judged') = 0) AS unusual
    FROM events INDEXED BY by_key GROUP BY key HAVING unusual OR SUM(state = 'judged') > 1
    """,
    """
    CREATE TEMP TABLE verdicts AS
    SELECT events.seq, unusual, events.seq = MAX(events.seq) OVER (PARTITION BY key) AS last
    FROM odd CROSS JOIN events INDEXED BY by_key USING (key) WHERE state = 'judged'
    """,
    """
    CREATE TEMP TABLE judged AS
    SELECT *, seq IN (SELECT seq FROM verdicts WHERE unusual) AS unusual FROM digest
    WHERE state = 'judged' AND seq NOT IN (SELECT seq FROM verdicts WHERE NOT last)
    """,
)
# dollars as a sum, and how many of them are unknown
_USED = "SELECT COALESCE(SUM(tokens), 0), COALESCE(SUM(usd), 0.0), COUNT(*) - COUNT(usd) FROM judged WHERE NOT unusual"
_SPENT = """
SELECT teacher, COALESCE(SUM(usd), 0.0), COUNT(*) - COUNT(usd) FROM judged WHERE outcome IS NOT NULL GROUP BY teacher
"""


class Used(NamedTuple):
    """Tokens and dollars; dollars None where a price is unknown."""

    tokens: int
    usd: float | None


class Author(NamedTuple):
    """Whoever wrote candidates."""

    studies: int
    accepted: int  # studies
    doubted: int  # studies without an accepted candidate that have one in doubt
    usd: float | None


class Studies(NamedTuple):
    """Studies that something was judged for."""

    touched: int
    accepted: int
    doubted: int  # none of their candidates was accepted, and one is in doubt


class Keyed(NamedTuple):
    """A row of the digest with its request."""

    key: str
    row: digest.Digest


class Sums:
    """What `snapshot` gives; every method is one look at the same moment of the journal."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def standing(self) -> dict[State, int]:
        """How many requests are in each state."""
        rows = self._select(
            "SELECT state, COUNT(*) FROM (SELECT key, state, MAX(seq) FROM events GROUP BY key) GROUP BY state"
        )
        return {State(state): count for state, count in rows}

    def asked(self) -> int:
        """How many studies a request was sent for."""
        return int(next(self._select("SELECT COUNT(DISTINCT study) FROM digest WHERE state = 'in_flight'"))[0])

    def departures(self) -> dict[str, int]:
        """By teacher, departures of requests; some were not sent after all, as `unusual` says."""
        rows = self._select("SELECT teacher, COUNT(*) FROM digest WHERE state = 'in_flight' GROUP BY teacher")
        return {teacher or "": count for teacher, count in rows}

    def used(self) -> Used:
        """What the answers used, without those of unusual requests."""
        tokens, usd, unknown = next(self._select(_USED))
        return Used(tokens, None if unknown else usd)

    def unusual(self) -> Iterator[Keyed]:
        """The events of the unusual requests, in order."""
        for key, *row in self._select(
            "SELECT key, digest.* FROM odd CROSS JOIN events INDEXED BY by_key USING (key) "
            "CROSS JOIN digest USING (seq) WHERE unusual ORDER BY seq"
        ):
            seq, state, *more = row
            yield Keyed(key, digest.Digest(seq, State(state), *more))

    def studies(self) -> Studies:
        """Studies by the best verdict on them."""
        return Studies(*next(self._by_study("")))

    def authors(self) -> dict[str, Author]:
        """Studies by the best verdict on each author's candidates, and what these cost."""
        usd = {name: None if unknown else usd for name, usd, unknown in self._select(_SPENT)}
        counts = self._by_study("teacher")
        return {name: Author(studies, accepted, doubted, usd[name]) for name, studies, accepted, doubted in counts}

    def overlap(self) -> bool:
        """Whether there is a study that several authors wrote candidates for."""
        query = (
            "SELECT 1 FROM judged WHERE outcome IS NOT NULL GROUP BY study HAVING MIN(teacher) < MAX(teacher) LIMIT 1"
        )
        return next(self._select(query), None) is not None

    def attempts(self) -> dict[int, Mapping[str, int]]:
        """By attempt, candidates by outcome."""
        found: dict[int, dict[str, int]] = {}
        for attempt, outcome, count in self._select(
            "SELECT COALESCE(attempt, 1), outcome, COUNT(*) FROM judged WHERE outcome IS NOT NULL GROUP BY 1, 2"
        ):
            found.setdefault(attempt, {})[outcome] = count
        return dict(found)

    def resolved(self) -> dict[str, int]:
        """Candidates by who settled their doubts, the most frequent first."""
        return dict(
            self._select(
                "SELECT resolved, COUNT(*) FROM judged WHERE outcome IS NOT NULL AND resolved IS NOT NULL "
                "GROUP BY resolved ORDER BY COUNT(*) DESC, MIN(seq)"
            )
        )

    def _by_study(self, name: str) -> Iterator[tuple[Any, ...]]:
        names = f"{name}, " if name else ""
        return self._select(
            f"SELECT {names} COUNT(*), COALESCE(SUM(best = 2), 0), COALESCE(SUM(best = 1), 0) FROM (SELECT {names} "  # noqa: S608 names are ours
            "MAX(CASE outcome WHEN 'accept' THEN 2 WHEN 'doubt' THEN 1 ELSE 0 END) AS best FROM judged "
            f"WHERE outcome IS NOT NULL GROUP BY {names} study) {f'GROUP BY {name}' if name else ''}"
        )

    def _select(self, sql: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from rows_of(self._connection, sql)
        except sqlite3.Error as error:
            raise RunError(f"the journal is damaged ({why(error)}); restore it from a copy", file=self._path) from None


@contextmanager
def snapshot(connection: sqlite3.Connection, path: Path) -> Iterator[Sums]:
    """Sums over a journal as it stands now, whatever is appended meanwhile.

    Raises:
        RunError: it is damaged.
    """
    try:
        connection.execute("BEGIN")
        try:
            if not connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'digest' "
                "UNION SELECT 1 FROM sqlite_temp_master WHERE name = 'digest'"
            ).fetchone():
                digest.create(connection, temporary=True)
            for table in _TABLES:
                connection.execute(table)
        except sqlite3.Error as error:
            raise RunError(f"the journal is damaged ({why(error)}); restore it from a copy", file=path) from None
        yield Sums(connection, path)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
