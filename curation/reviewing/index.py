"""What there is to read in a run: one short entry for each judged candidate, kept up to date while the run grows.

Entries are read with SQL from the journal, without making records of 50,000 candidates; the whole of one candidate is
read when somebody opens it.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...data.judged import Judged, judged
from ...data.run import RunFolder
from ...schemas.errors import InputError, RunError, why
from ...schemas.run import State
from ...schemas.verdict import Outcome, outcome_of
from ...validators.findings import claims

_SQL = """
SELECT seq, key, study_id, json_extract(body, '$.candidate.teacher', '$.candidate.author', '$.candidate.parent',
  '$.verdict.findings')
FROM events WHERE state = 'judged' AND seq > ? AND json_extract(body, '$.candidate') IS NOT NULL ORDER BY seq
"""


class IndexedTrace(NamedTuple):
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
        self.entries: dict[str, IndexedTrace] = {}
        self.by_study: dict[str, list[str]] = {}
        self.repaired: set[str] = set()  # keys that a later attempt repairs
        self._findings: dict[str, frozenset[str]] = {}  # of references that were read for a queue
        self._seen = 0
        self._db = _connect(run.path / "journal.db")
        self.refresh()

    def refresh(self) -> None:
        """Take in what was judged, or judged again, since the last call."""
        try:
            rows = self._db.execute(_SQL, (self._seen,))
            for seq, key, study_id, fields in rows:
                teacher, author, parent, findings = json.loads(fields)
                if key not in self.entries:
                    self.by_study.setdefault(study_id, []).append(key)
                if parent:
                    self.repaired.add(parent)
                outcome, codes = _weigh(findings)
                self.entries[key] = IndexedTrace(key, study_id, f"{author} {teacher}", outcome, codes, parent)
                self._seen = seq
        except sqlite3.Error as error:
            raise RunError(
                f"the journal cannot be read ({why(error)}); restore it from a copy", file=self.run.path / "journal.db"
            ) from None

    @property
    def version(self) -> int:
        """Changes when something was judged."""
        return self._seen

    def judged(self, key: str) -> Judged | None:
        """One candidate and its verdict, whole."""
        event = self.run.journal.last(key, State.JUDGED) if key in self.entries else None
        return None if event is None else judged(event)

    def attempts(self, study_id: str) -> Sequence[str]:
        """The keys of a study's candidates, in order."""
        return self.by_study.get(study_id, ())

    def studies_with(self, words: str) -> set[str]:
        """Ids of studies whose reference asserts a finding, or leaves it open. Each reference is read once.

        Args:
            words: the finding's name or how a report calls it: `effusion`, `pleural_effusion`, `collapsed lung`.

        Raises:
            InputError: the words name no finding.
        """
        wanted = _named(words)
        for study_id in self.by_study.keys() - self._findings.keys():
            said = claims(self.run.studies.get(study_id).report)
            self._findings[study_id] = frozenset(claim.finding for claim in said if claim.status != "absent")
        return {study_id for study_id in self.by_study if not wanted.isdisjoint(self._findings[study_id])}

    def close(self) -> None:
        """Let go of the journal."""
        self._db.close()


def _named(words: str) -> frozenset[str]:
    found = frozenset(claim.finding for claim in claims(f"There is {words.replace('_', ' ')}."))
    if not found:
        raise InputError(f"'{words}' names no radiological finding that reports are read for")
    return found


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30, check_same_thread=False)


def _weigh(findings: Sequence[Mapping[str, str]]) -> tuple[Outcome, tuple[str, ...]]:
    severities = {finding["severity"] for finding in findings}
    codes = dict.fromkeys(finding["code"] for finding in findings if finding["severity"] != "warning")
    return outcome_of(severities, None, None), tuple(codes)
