"""What a reader's screen is made of: the next item of a queue, progress, drafts, who may see what.

One object serves all sessions of a run. A lock lets one request at a time touch the run's files; films are decoded
outside of it.
"""

import hashlib
import statistics
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...data.attribution import attribution_of, read_attribution
from ...data.judged import Judged
from ...data.readings import Final, final
from ...data.run import RunFolder
from ...schemas.errors import InputError
from ...schemas.reading import Kind, Reading
from ...schemas.study import Study
from . import queues
from .decide import DecisionWriter, Form
from .index import IndexedTrace, TraceIndex

Blind = Literal["never", "second", "always"]


class Settings(NamedTuple):
    """How a run is read."""

    sampling: queues.Sampling = queues.Sampling()
    blind: Blind = "second"  # from whom the rules' findings are hidden until the own decision
    min_seconds: float = 1.0  # from the film on the screen to a decision
    queue: str = "work"  # where readers begin
    attribution: Path | None = None  # what `tenstep attribute` wrote, if it does not lie in the run's folder


class ReaderProgress(NamedTuple):
    """Of one reader in one queue."""

    done: int
    left: int
    seconds: float | None  # median for one item

    @property
    def minutes_left(self) -> int | None:
        """At the reader's own pace."""
        return None if self.seconds is None else round(self.left * self.seconds / 60)


class Screen(NamedTuple):
    """One candidate as a reader is to see it."""

    entry: IndexedTrace
    study: Study
    judged: Judged
    own: Reading | None
    base: int  # the revision that a decision follows
    findings: bool  # whether the rules' findings are shown
    others: tuple[Reading, ...]  # shown to whoever adjudicates only


class ReviewRun:
    """A run that is being read."""

    def __init__(self, run: RunFolder, settings: Settings) -> None:
        self.run = run
        self.settings = settings
        self.index = TraceIndex(run)
        self.attribution = (
            attribution_of(run.path) if settings.attribution is None else read_attribution(settings.attribution)
        )
        if self.attribution.keys().isdisjoint(self.index.entries) and self.attribution:
            raise InputError("is about another run: it has none of its traces", file=settings.attribution or run.path)
        self.decisions = DecisionWriter(run)
        self._lock = threading.RLock()
        self._readings: tuple[int, dict[str, list[Reading]]] = (-1, {})
        self._queues: tuple[int, dict[str, list[IndexedTrace]]] = (-1, {})
        self._opened: dict[tuple[str, str], float] = {}  # (reader, key): when it was first sent
        self._undo: dict[str, list[tuple[str, Kind]]] = defaultdict(list)  # reader: (key, kind) in order

    def finals(self) -> dict[str, Final]:
        """What the readings of each candidate amount to."""
        with self._lock:
            return {key: final(given) for key, given in self._by_key().items()}

    def _by_key(self) -> dict[str, list[Reading]]:
        """The current readings of each candidate, read again only after a new one was written."""
        last = self.decisions.readings.last()
        if last != self._readings[0]:
            by_key: dict[str, list[Reading]] = defaultdict(list)
            for reading in self.decisions.readings.current():
                by_key[reading.key].append(reading)
            self._readings = (last, by_key)
        return self._readings[1]

    def queue(self, spec: str) -> list[IndexedTrace]:
        """A queue as it stands now; drawn again only after something new was judged."""
        with self._lock:
            self.index.refresh()
            if spec == "disputed":
                return queues.queue(spec, self.index, self.settings.sampling, self.finals())
            if self.index.version != self._queues[0]:
                self._queues = (self.index.version, {})
            drawn = self._queues[1]
            if spec not in drawn:
                drawn[spec] = queues.queue(spec, self.index, self.settings.sampling, {}, self.attribution)
            return drawn[spec]

    def next_key(self, reader: str, spec: str, *, after: str | None = None) -> str | None:
        """The next candidate that this reader still has to read in a queue; `after` is skipped."""
        with self._lock:
            if spec == "disputed":
                return next((entry.key for entry in self.queue(spec) if entry.key != after), None)
            readers = {key: {r.reader for r in given} for key, given in self._by_key().items()}
            waiting = queues.open_for(reader, self.queue(spec), readers, self.settings.sampling)
            return next((entry.key for entry in waiting if entry.key != after), None)

    def progress(self, reader: str, spec: str) -> ReaderProgress:
        """How far a reader is."""
        with self._lock:
            by_key = self._by_key()
            entries = self.queue(spec)
            readers = {key: {r.reader for r in given} for key, given in by_key.items()}
            left = sum(1 for _ in queues.open_for(reader, entries, readers, self.settings.sampling))
            mine = [r.seconds for given in by_key.values() for r in given if r.reader == reader]
            done = sum(1 for entry in entries if reader in readers.get(entry.key, ()))
            return ReaderProgress(done, left, statistics.median(mine[-50:]) if mine else None)

    def screen(self, reader: str, key: str, *, adjudicate: bool = False) -> Screen:
        """One candidate.

        Raises:
            InputError: the run has no such candidate, or the store no such study.
        """
        with self._lock:
            self.index.refresh()
            entry, judged = self.index.entries.get(key), self.index.judged(key)
            if entry is None or judged is None:
                raise InputError("this run has no such candidate; load the page again", file=self.run.path)
            given = self.decisions.readings.current(key)
            kind = "adjudication" if adjudicate else "reading"
            own = next((r for r in given if r.reader == reader and r.kind == kind), None)
            others = tuple(r for r in given if r.kind == "reading") if adjudicate else ()
            read_by_another = any(r.reader != reader for r in given)
            hidden = {"never": False, "second": read_by_another, "always": True}[self.settings.blind]
            self._opened.setdefault((reader, key), time.monotonic())
            return Screen(
                entry=entry,
                study=self.run.studies.get(judged.candidate.study_id),
                judged=judged,
                own=own,
                base=self.decisions.readings.revision(key, reader, kind),
                findings=adjudicate or own is not None or not hidden,
                others=others,
            )

    def decide(self, reader: str, key: str, form: Form, spec: str, *, adjudicate: bool) -> Reading | None:
        """Write a reader's decision; None if this form was sent before.

        Raises:
            InputError: the form is not whole, or was sent sooner than a film can be read.
        """
        with self._lock:
            screen = self.screen(reader, key, adjudicate=adjudicate)
            if time.monotonic() - self._opened[reader, key] < self.settings.min_seconds:
                raise InputError("this was sent before the film can have been read; look at it first")
            reading = self.decisions.save(
                form,
                screen.judged,
                screen.study,
                reader=reader,
                kind="adjudication" if adjudicate else "reading",
                queue=queues.written(spec, self.settings.sampling),
                saw_findings=screen.findings,
                saw_others=bool(screen.others),
            )
            if reading is not None:
                self._undo[reader].append((key, reading.kind))
                self._opened.pop((reader, key), None)
                self.draft_file(reader, key).unlink(missing_ok=True)
            return reading

    def undo(self, reader: str) -> str | None:
        """Take back the reader's last decision of this session, and say on which candidate it was."""
        with self._lock:
            while self._undo[reader]:
                key, kind = self._undo[reader].pop()
                judged = self.index.judged(key)
                if judged is not None and self.decisions.withdraw(judged, reader=reader, kind=kind):
                    return key
            return None

    def draft_file(self, reader: str, key: str) -> Path:
        """Where an unfinished form is kept; it quotes the trace, so only its owner can read it."""
        name = hashlib.sha256(reader.encode()).hexdigest()[:12]
        return self.run.path / "drafts" / f"{name}-{key[:32]}.json"

    def listing(self, spec: str, filters: "Filters") -> tuple[list[dict[str, Any]], int]:
        """One page of a queue as rows, and how many there are in all."""
        with self._lock:
            finals = self.finals()
            rows = []
            for entry in self.queue(spec):
                found = finals.get(entry.key)
                state = found.provenance if found else "unread"
                if filters.fits(entry, state):
                    rows.append((entry, found, state))
            if filters.sort == "study":
                rows.sort(key=lambda row: row[0].study_id)
            elif filters.sort == "codes":
                rows.sort(key=lambda row: -len(row[0].codes))
            elif filters.sort == "loss":
                last = len(self.attribution) + 1
                known = self.attribution
                rows.sort(key=lambda row: known[row[0].key].rank if row[0].key in known else last)
            start = (filters.page - 1) * PAGE
            shown = [
                {
                    "entry": entry,
                    "decision": found.decision if found else None,
                    "state": state,
                    "attributed": self.attribution.get(entry.key),
                }
                for entry, found, state in rows[start : start + PAGE]
            ]
            return shown, len(rows)

    def close(self) -> None:
        """Let go of the files."""
        self.decisions.close()
        self.index.close()


PAGE = 50


class Filters(NamedTuple):
    """What a list shows; every value stands in the page's address."""

    outcome: str = ""
    code: str = ""
    author: str = ""
    state: str = ""
    study: str = ""
    sort: str = "queue"
    page: int = 1

    def fits(self, entry: IndexedTrace, state: str) -> bool:
        """Whether an entry is shown."""
        return (
            self.outcome in ("", entry.outcome)
            and (not self.code or self.code in entry.codes)
            and self.author in ("", entry.author)
            and self.state in ("", state)
            and self.study.lower() in entry.study_id.lower()
        )
