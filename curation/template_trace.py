"""Template traces: the same steps, or nearly, before references that differ. No rule can see it: a rule sees one trace.

Each trace is sketched (MinHash of its steps' words) and looked up among those that came before it. Those whose
references are as alike as their steps may say the same; where the references are clearly less alike, each of the traces
gets a doubt. Nothing of a text is held, and sketches lie in a database, so memory does not grow with a run. A verifier,
which sees one trace as well, cannot resolve it; a recipe or a reader can. A journal keeps the sketches with the
verdict, so that a resume makes none again, and a run keeps the database (kept_traces.py).
"""

import json
import re
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.similarity import SIZE, Signature, likeness
from ..schemas.verdict import Finding, Severity, Verdict, Weight
from .auditing.sketch import Sketch, sketch
from .sketch_index import SketchIndex, Wanted

RULE = CODE = "template_trace"
CODES: Mapping[str, Severity] = {CODE: "doubt"}
SHARE = 0.1  # of the studies; past it, a run says so loudly
_APART = 0.2  # so much less alike are references that differ; twice the error of two estimates
_WORD = re.compile(r"[^\W_]+")
FORM = "1"  # of a packed sketch; another one where sketches of the same texts become others
_MARK = 8  # bytes
_AT_ONCE = 1_000  # traces whose twins are found at once
_TABLES = """
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
CREATE TABLE IF NOT EXISTS traces (at INTEGER PRIMARY KEY, key TEXT, study TEXT, reference BLOB);
CREATE TABLE IF NOT EXISTS twins (at INTEGER PRIMARY KEY, of TEXT);
CREATE TABLE IF NOT EXISTS given (at INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS notes (note TEXT);
"""
_BY_KEY = "CREATE UNIQUE INDEX IF NOT EXISTS by_key ON traces (key)"

_THERE = (
    "SELECT traces.key, study, reference, of FROM json_each(?) CROSS JOIN traces ON traces.at = value "
    "LEFT JOIN twins ON twins.at = value ORDER BY json_each.key"
)

Trace = tuple[str, str, Sketch, Sketch]  # as `Templates.add` takes it


class Twin(NamedTuple):
    """A trace that says what another one says."""

    key: str
    study_id: str
    of: str  # the other one's study


class Templates:
    """Collects traces; use it in a `with` block.

    Args:
        place: the file of their database, if it is to be kept; what is there already is not added again.
    """

    def __init__(self, place: Path | None = None) -> None:
        self._db = sqlite3.connect(place or "", isolation_level=None, check_same_thread=False)  # "": a temporary file
        self._db.executescript(_TABLES)
        self._index = SketchIndex(self._db)
        self._earlier = self._index.count  # traces that were there
        if self._earlier:
            self._db.execute(_BY_KEY)
        self._marked = bytearray(1 + self._earlier)  # by number, from 1: whether a trace has a twin
        self._lately = bytearray(1 + self._earlier)  # the same, of those that had none before
        self._wanted: tuple[Wanted, Wanted] | None = None  # both, to be looked for
        for (at,) in self._db.execute("SELECT at FROM twins"):
            self._marked[at] = 1
        self._db.execute("BEGIN")

    def add(self, key: str, study_id: str, ours: Sketch, reference: Sketch) -> str | None:
        """One more trace.

        Args:
            key: of the candidate.
            study_id: what it is about.
            ours: the sketch of its steps.
            reference: the sketch of the reference (`sketches` makes both).

        Returns:
            The study of an earlier trace that is alike though its reference is not; none if there is none yet.
        """
        if key in (known := self._known([key])):
            return known[key]
        found = [(0, at, same) for at, same in self._index.add(ours)]
        return self._compared([(key, study_id)], reference[np.newaxis], *zip(*found, strict=True))[0]

    def add_all(self, traces: Sequence[Trace]) -> list[str | None]:
        """The same for several traces, one after another, in less time."""
        known = self._known([key for key, *_ in traces])
        new = [trace for trace in traces if trace[0] not in known]
        if not new:
            return [known[key] for key, *_ in traces]
        found = self._index.extend(np.stack([trace[2] for trace in new]))
        references = np.stack([trace[3] for trace in new])
        twins = iter(self._compared([trace[:2] for trace in new], references, *map(_listed, found)))
        return [known[key] if key in known else next(twins) for key, *_ in traces]

    def remember(self, traces: Sequence[tuple[str, str, bytes]]) -> list[str | None]:
        """What `add_all` does, for traces by key, study and packed sketches."""
        return self.add_all([(key, study_id, *unpacked(blob)) for key, study_id, blob in traces])

    def _known(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Those of some traces that an earlier call has left, with their twins."""
        if not self._earlier:
            return {}
        query = "SELECT value, of FROM json_each(?) CROSS JOIN traces ON traces.key = value LEFT JOIN twins USING (at)"
        return dict(self._db.execute(query, (json.dumps(keys),)))

    def _compared(
        self,
        traces: Sequence[tuple[str, str]],
        references: Signature,
        rows: Sequence[int] = (),
        others: Sequence[int] = (),
        same: Sequence[float] = (),
    ) -> list[str | None]:
        """Traces that the index has taken, and what it has found: rows, earlier traces by number, and how much."""
        first = len(self._marked)
        self._marked.extend(bytes(len(traces)))
        self._lately.extend(bytes(len(traces)))
        self._wanted = None
        numbered = [(first + row, *trace, references[row].tobytes()) for row, trace in enumerate(traces)]
        self._db.executemany("INSERT INTO traces VALUES (?, ?, ?, ?)", numbered)
        twins: list[str | None] = [None] * len(traces)
        if not rows:
            return twins
        numbers, which = np.unique(np.array(others), return_inverse=True)
        there = self._db.execute(_THERE, (json.dumps(numbers.tolist()),)).fetchall()
        reports = np.frombuffer(b"".join(report for _, _, report, _ in there), np.uint32).reshape(-1, SIZE)
        places = which.ravel()
        differ = likeness(references[list(rows)], reports[places]) < np.array(same) - _APART
        marks = {at: of for at, (*_, of) in zip(numbers.tolist(), there, strict=True) if of is not None}
        marked = set(marks)
        for row, at, place, differs in zip(rows, others, places.tolist(), differ.tolist(), strict=True):
            (key, study), (other_key, other, _, _) = traces[row], there[place]
            if other == study or other_key == key:
                continue
            if differs:
                marks.setdefault(at, study)
                twins[row] = twins[row] or other
            elif at in marks:  # its group stands before other references too
                twins[row] = twins[row] or marks[at]
            if (twin := twins[row]) is not None:
                marks.setdefault(first + row, twin)
        new = marks.keys() - marked
        self._db.executemany("INSERT INTO twins VALUES (?, ?)", [(at, marks[at]) for at in sorted(new)])
        for at in new:
            self._marked[at] = self._lately[at] = 1
        return twins

    def twins(self) -> Iterator[Twin]:
        """Every trace that is alike to one before another reference, the early ones of a group too; each once."""
        first: int | None = 1
        while first is not None:
            found, first = self.some_twins(first)
            yield from found

    def some_twins(self, first: int) -> tuple[list[Twin], int | None]:
        """The same, for some traces from the first one on (counted from 1); and where to go on, if anywhere."""
        if not self._marked.count(1):
            return [], None
        if self._wanted is None:
            self._wanted = self._index.wanted(self._lately), self._index.wanted(self._marked)
        end = min(self._index.count, first + _AT_ONCE - 1)
        marked = dict(self._db.execute("SELECT at, of FROM twins WHERE at BETWEEN ? AND ?", (first, end)))
        given = {at for (at,) in self._db.execute("SELECT at FROM given WHERE at BETWEEN ? AND ?", (first, end))}
        left = [at for at in range(first, end + 1) if at not in marked and at not in given]
        earlier = bisect_right(left, self._earlier)  # have been compared with those that had a twin before
        for some, wanted in zip((left[:earlier], left[earlier:]), self._wanted, strict=True):
            for at, other in self._index.alike(some, wanted):
                (marked[at],) = self._db.execute("SELECT of FROM twins WHERE at = ?", (other,)).fetchone()
        rows = self._db.execute("SELECT at, key, study FROM traces WHERE at BETWEEN ? AND ?", (first, end))
        found = {at: Twin(key, study, marked[at]) for at, key, study in rows if at in marked and at not in given}
        self._db.executemany("INSERT INTO given VALUES (?)", ((at,) for at in found))
        return list(found.values()), end + 1 if end < self._index.count else None

    def counted(self) -> "Count":
        """How many studies have a trace here, and how many one that `twins` has given."""
        query = "SELECT COUNT(DISTINCT study), COUNT(DISTINCT CASE WHEN given.at THEN study END) FROM traces"
        return Count(*self._db.execute(f"{query} LEFT JOIN given USING (at)").fetchone())

    def commit(self, note: str) -> None:
        """Leave the database to those who go on with it, with a word for them."""
        self._db.execute("INSERT INTO notes VALUES (?)", (note,))
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the database; what was not committed is gone."""
        self._db.close()

    def __enter__(self) -> "Templates":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _listed(values: NDArray[Any]) -> list[Any]:
    found: list[Any] = values.tolist()
    return found


class Count(NamedTuple):
    """How many studies of a run have traces, and how many have one that is a template."""

    studies: int
    templates: int

    @property
    def note(self) -> str | None:
        """A loud line, where there are too many of them."""
        if self.templates <= SHARE * self.studies:
            return None
        return (
            f"TEMPLATES: for {self.templates} of {self.studies} studies the steps are those of another one, or nearly, "
            f"whose reference differs (more than {SHARE:.0%}): their writer does not look at the study"
        )


def finding(severity: Severity = CODES[CODE]) -> Finding:
    """The doubt on one of them."""
    message = "The same steps, or nearly, stand before another study, whose reference differs; say what this one shows."
    return Finding(rule=RULE, code=CODE, severity=severity, message=message)


def marked(verdict: Verdict, is_template: bool, severities: Mapping[str, Weight] = {}) -> Verdict:
    """The verdict with the doubt, or without it."""
    others = tuple(found for found in verdict.findings if found.rule != RULE)
    severity = severities.get(CODE, CODES[CODE])
    more = (finding(severity),) if is_template and severity != "off" else ()
    now = (*others, *more)
    return verdict if now == verdict.findings else verdict.model_copy(update={"findings": now})


def sketches(steps: Sequence[str], report: str) -> tuple[Sketch, Sketch]:
    """Of a trace's steps and of its reference."""
    return sketch(_words(" ".join(steps))), sketch(_words(report))


def packed(found: tuple[Sketch, Sketch], steps: Sequence[str], report: str) -> bytes:
    """Sketches as a journal keeps them: with a mark of the texts that they are of."""
    return _mark(steps, report) + b"".join(one.tobytes() for one in found)


def kept(packed: bytes | None, steps: Sequence[str], report: str) -> tuple[Sketch, Sketch] | None:
    """Sketches from a journal; none if it keeps none, or those of other texts or of another version."""
    if packed is None or packed[:_MARK] != _mark(steps, report):
        return None
    return unpacked(packed)


def unpacked(packed: bytes) -> tuple[Sketch, Sketch]:
    """Sketches from a journal, whatever they are of."""
    ours, reference = np.frombuffer(packed, np.uint32, offset=_MARK).reshape(2, SIZE)
    return ours, reference


def _mark(steps: Sequence[str], report: str) -> bytes:
    return blake2b("\0".join((FORM, *steps, report)).encode("utf-8", "replace"), digest_size=_MARK).digest()


def _words(text: str) -> list[str]:
    """Without numbers: a template with another number in it is the same one, and so is a reference."""
    return [word for word in _WORD.findall(text.lower()) if not word.isdecimal()]
