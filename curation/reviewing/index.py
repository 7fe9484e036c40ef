"""What there is to read in a run: one short entry for each judged candidate, kept up to date while the run grows.

Entries are read with SQL from the journal, without making records of 50,000 candidates; the whole of one candidate is
read when somebody opens it.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ...data.judged import Judged, judged
from ...data.run import RunFolder
from ...schemas.errors import RunError
from ...schemas.run import State

Outcome = Literal["accept", "doubt", "reject"]

# one row a judged event; its findings as "severity:code,severity:code"
_SQL = """
SELECT seq, key, study_id,
  json_extract(body, '$.candidate.teacher'), json_extract(body, '$.candidate.author'),
  json_extract(body, '$.candidate.parent'),
  (SELECT group_concat(json_extract(value, '$.severity') || ':' || json_extract(value, '$.code'))
   FROM json_each(body, '$.verdict.findings'))
FROM events WHERE state = 'judged' AND seq > ? ORDER BY seq
"""


class Entry(NamedTuple):
    """One judged candidate."""

    key: str
    study_id: str
    author: str  # e.g. "teacher scripted"
    outcome: Outcome
    codes: tuple[str, ...]  # of errors and doubts, each once
    parent: str | None  # the candidate that it repairs


class TraceIndex:
    """Every judged candidate of a run, by key, in the order they were first judged."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.entries: dict[str, Entry] = {}
        self.by_study: dict[str, list[str]] = {}
        self.repaired: set[str] = set()  # keys that a later attempt repairs
        self._seen = 0
        self._db = _connect(run.path / "journal.db")
        self.refresh()

    def refresh(self) -> None:
        """Take in what was judged, or judged again, since the last call."""
        try:
            rows = self._db.execute(_SQL, (self._seen,))
            for seq, key, study_id, teacher, author, parent, findings in rows:
                if key not in self.entries:
                    self.by_study.setdefault(study_id, []).append(key)
                if parent:
                    self.repaired.add(parent)
                outcome, codes = _weigh(findings or "")
                self.entries[key] = Entry(key, study_id, f"{author} {teacher}", outcome, codes, parent)
                self._seen = seq
        except sqlite3.Error as error:
            raise RunError(f"the journal cannot be read ({error})", file=self.run.path / "journal.db") from None

    def judged(self, key: str) -> Judged | None:
        """One candidate and its verdict, whole."""
        event = self.run.journal.last(key, State.JUDGED)
        return None if event is None else judged(event)

    def attempts(self, study_id: str) -> Sequence[str]:
        """The keys of a study's candidates, in order."""
        return self.by_study.get(study_id, ())

    def close(self) -> None:
        """Let go of the journal."""
        self._db.close()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30, check_same_thread=False)


def _weigh(findings: str) -> tuple[Outcome, tuple[str, ...]]:
    severities: set[str] = set()
    codes: dict[str, None] = {}
    for one in filter(None, findings.split(",")):
        severity, _, code = one.partition(":")
        severities.add(severity)
        if severity != "warning":
            codes[code] = None
    return "reject" if "error" in severities else "doubt" if "doubt" in severities else "accept", tuple(codes)
