"""Ends: studies that have come to an end in a run, so that a later call passes them over and reads no verdict again.

    ends   study; mark of all that its end depends on (curation/settled.py); the last event before it; what came of it

An end holds while its mark is that of the call, and no event of the study was appended since: a recheck, a reader or an
earlier version that judges it opens it again. The table is no part of what a journal promises: without it, or without
a study's row, a call goes through the study's events as before, and comes to the same.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..schemas.errors import RunError, why
from ..schemas.verdict import Outcome

TABLE = """
CREATE TABLE IF NOT EXISTS ends (seq INTEGER PRIMARY KEY, after INTEGER NOT NULL, mark TEXT NOT NULL,
    study TEXT NOT NULL, outcome TEXT NOT NULL, repaired INTEGER NOT NULL, answers INTEGER NOT NULL, usd REAL,
    codes TEXT NOT NULL, verified TEXT NOT NULL)
"""
INSERT = (
    "INSERT INTO ends (after, mark, study, outcome, repaired, answers, usd, codes, verified) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# the last end of each study, if nothing was appended behind it
_FOUND = """
CREATE TEMP TABLE ended (study TEXT PRIMARY KEY, place INTEGER, outcome TEXT, repaired INTEGER, answers INTEGER,
    usd REAL, codes TEXT, verified TEXT) WITHOUT ROWID
"""
_ENDED = """
INSERT INTO temp.ended
SELECT ends.study, store.studies.place, outcome, repaired, answers, usd, codes, verified
FROM (SELECT MAX(seq) AS seq FROM ends WHERE mark = ? GROUP BY study)
CROSS JOIN ends USING (seq)
JOIN (SELECT study, MAX(seq) AS last FROM digest GROUP BY study) AS touched ON touched.study = ends.study
CROSS JOIN store.studies ON store.studies.id = ends.study
WHERE after >= last AND place < ?
"""
_SUMS = """
SELECT outcome, repaired, codes, verified, COUNT(*), SUM(answers), TOTAL(usd), COUNT(*) - COUNT(usd)
FROM temp.ended GROUP BY outcome, repaired, codes, verified
"""
_SKETCHES = """
SELECT events.key, events.study_id, events.raw
FROM (
    SELECT MAX(seq) AS last, MIN(seq) AS first FROM events INDEXED BY by_key WHERE state = 'judged' GROUP BY key
)
CROSS JOIN digest ON digest.seq = last
JOIN temp.ended USING (study)
CROSS JOIN events ON events.seq = last
WHERE events.raw IS NOT NULL ORDER BY first
"""


class End(NamedTuple):
    """What came of one study."""

    study: str
    mark: str
    outcome: Outcome  # of the candidate that decided
    repaired: bool
    answers: int  # that were concluded, a verifier's too
    usd: float | None  # what they cost; none if a price is unknown
    codes: tuple[str, ...]  # of the candidate that decided, if it was not accepted
    verified: Mapping[str, int]  # what became of traces that a verifier read


class Sum(NamedTuple):
    """What came of some studies alike."""

    studies: int
    outcome: Outcome
    repaired: bool
    answers: int
    usd: float | None
    codes: tuple[str, ...]
    verified: Mapping[str, int]  # of each


def row(after: int, end: End) -> tuple[object, ...]:
    """For INSERT; `after`: the last event before it."""
    verified = json.dumps(dict(end.verified))
    codes = json.dumps(end.codes)
    return after, end.mark, end.study, end.outcome, end.repaired, end.answers, end.usd, codes, verified


class Ended:
    """The ends of a journal that hold.

    Args:
        connection: of the journal, with the index of its study store attached as `store`.
        path: the journal's.
        mark: of this call.
        limit: how many studies of the store are looked at; all if none.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, mark: str, limit: int | None) -> None:
        self._connection, self._path, self._mark = connection, path, mark
        self._do("DROP TABLE IF EXISTS temp.ended")
        self._do(_FOUND)
        self._do(_ENDED, (mark, 1 << 62 if limit is None else limit))

    def places(self) -> Iterator[int]:
        """The places of their studies in the store."""
        for (place,) in self._do("SELECT place FROM temp.ended"):
            yield place

    def sums(self) -> Iterator[Sum]:
        """All of them, added up by what came of them."""
        for outcome, repaired, codes, verified, count, answers, usd, unknown in self._do(_SUMS):
            found = tuple(json.loads(codes)), json.loads(verified)
            yield Sum(count, outcome, bool(repaired), answers, None if unknown else usd, *found)

    def sketches(self) -> Iterator[tuple[str, str, bytes]]:
        """Key, study and packed sketches of every candidate of those studies that has some, in the order in which they
        were judged first, and so compared."""
        yield from self._do(_SKETCHES)

    def _do(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise RunError(f"the journal is damaged ({why(error)}); restore it from a copy", file=self._path) from None
