"""Template traces: the same steps, or nearly, before references that differ. No rule can see it: a rule sees one trace.

Each trace is sketched (MinHash of its steps' words) and looked up among those that came before it. Those whose
references are as alike as their steps may say the same; where the references are clearly less alike, each of the traces
gets a doubt. Nothing of a text is held, and sketches lie in a temporary database, so memory does not grow with a run. A
verifier, which sees one trace as well, cannot resolve it; a recipe or a reader can. A journal keeps the sketches with
the verdict, so that a resume makes none again.
"""

import json
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from ..data.similarity import BANDS, SIZE, likeness
from ..schemas.verdict import Finding, Severity, Verdict, Weight
from .auditing.sketch import ALIKE, Sketch, sketch

RULE = CODE = "template_trace"
CODES: Mapping[str, Severity] = {CODE: "doubt"}
SHARE = 0.1  # of the studies; past it, a run says so loudly
_APART = 0.2  # so much less alike are references that differ; twice the error of two estimates
_WORD = re.compile(r"[^\W_]+")
_ROWS = SIZE // BANDS
_LOOKED_AT = 8  # earlier traces of one band; in a larger group, each is still found through those
_FORM = "1"  # of a packed sketch; another one where sketches of the same texts become others
_MARK = 8  # bytes
_AT_ONCE = 1_000  # traces whose twins are found at once
_TABLES = """
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
CREATE TABLE traces (at INTEGER PRIMARY KEY, key TEXT, study TEXT, steps BLOB, report BLOB, twin TEXT);
CREATE TABLE bands (band INTEGER, at INTEGER, PRIMARY KEY (band, at)) WITHOUT ROWID;
"""

Call = tuple[str, tuple[Any, ...]]  # a method of Templates, and its arguments


class Twin(NamedTuple):
    """A trace that says what another one says."""

    key: str
    study_id: str
    of: str  # the other one's study


class Templates:
    """Collects traces; use it in a `with` block."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="tenstep-", suffix=".db")  # noqa: SIM115 lives as long as we do
        self._db = sqlite3.connect(self._file.name, isolation_level=None, check_same_thread=False)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")
        self.traces = 0

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
        twin: str | None = None
        touched: list[int] = []
        bands = list(_bands(ours))
        near = self._rows("at, key, study, steps, twin", self._near(bands))
        alike = likeness(ours, np.array([_sketch(row[3]) for row in near])) if near else ()
        for same, (at, other_key, study, _, marked) in zip(alike, near, strict=True):
            if study == study_id or other_key == key or same < ALIKE:
                continue
            ((other_report,),) = self._rows("report", [at])  # few are so alike: the others' references are not read
            if likeness(reference, _sketch(other_report)) < same - _APART:
                twin = twin or study
                touched.append(at)
            elif marked is not None:  # its group stands before other references too
                twin = twin or marked
        self._db.executemany(
            "UPDATE traces SET twin = ? WHERE at = ? AND twin IS NULL", ((study_id, at) for at in touched)
        )
        self.traces += 1
        row = (self.traces, key, study_id, ours.tobytes(), reference.tobytes(), twin)
        self._db.execute("INSERT INTO traces VALUES (?, ?, ?, ?, ?, ?)", row)
        self._db.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", ((band, self.traces) for band in bands))
        return twin

    def twins(self) -> Iterator[Twin]:
        """Every trace that is alike to one before another reference, the early ones of a group too."""
        first: int | None = 1
        while first is not None:
            found, first = self.some_twins(first)
            yield from found

    def some_twins(self, first: int) -> tuple[list[Twin], int | None]:
        """The same, for some traces from the first one on (counted from 1); and where to go on, if anywhere."""
        if not self._db.execute("SELECT 1 FROM traces WHERE twin IS NOT NULL LIMIT 1").fetchone():
            return [], None
        found, end = [], min(self.traces, first + _AT_ONCE - 1)
        for at, key, study, steps, twin in self._rows("at, key, study, steps, twin", range(first, end + 1)):
            if twin is None:
                ours = _sketch(steps)
                others = self._rows("steps, twin", [other for other in self._near(_bands(ours)) if other != at])
                marked = (of for other, of in others if of is not None and likeness(ours, _sketch(other)) >= ALIKE)
                of = next(marked, None)
            else:
                of = twin
            if of is not None:
                found.append(Twin(key, study, of))
        return found, end + 1 if end < self.traces else None

    def count_studies(self) -> int:
        """How many studies have a trace here."""
        return int(self._db.execute("SELECT COUNT(DISTINCT study) FROM traces").fetchone()[0])

    def _rows(self, columns: str, which: Sequence[int]) -> list[tuple[Any, ...]]:
        """These traces, in order, by one query: most of what a query costs is the same for one row or a hundred."""
        query = f"SELECT {columns} FROM traces WHERE at IN (SELECT value FROM json_each(?)) ORDER BY at"  # noqa: S608 columns are ours
        return self._db.execute(query, (json.dumps(list(which)),)).fetchall()

    def _near(self, bands: Iterable[int]) -> list[int]:
        """The first traces that share one of these bands."""
        query = "SELECT at FROM bands WHERE band = ? ORDER BY at LIMIT ?"
        found = (at for band in bands for (at,) in self._db.execute(query, (band, _LOOKED_AT)).fetchall())
        return sorted(set(found))

    def call(self, call: Call) -> Any:
        """What a method says, by its name."""
        name, args = call
        return getattr(self, name)(*args)

    def close(self) -> None:
        """Forget them."""
        self._db.close()
        self._file.close()

    def __enter__(self) -> "Templates":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def started() -> Callable[[Sequence[Call]], list[Any]]:
    """What a process that compares traces does with a batch (batch_process.py)."""
    templates = Templates()
    return lambda batch: list(map(templates.call, batch))


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
    ours, reference = np.frombuffer(packed, np.uint32, offset=_MARK).reshape(2, SIZE)
    return ours, reference


def _mark(steps: Sequence[str], report: str) -> bytes:
    return blake2b("\0".join((_FORM, *steps, report)).encode("utf-8", "replace"), digest_size=_MARK).digest()


def _words(text: str) -> list[str]:
    """Without numbers: a template with another number in it is the same one, and so is a reference."""
    return [word for word in _WORD.findall(text.lower()) if not word.isdecimal()]


def _sketch(blob: bytes) -> Sketch:
    return np.frombuffer(blob, np.uint32)


def _bands(ours: Sketch) -> Iterable[int]:
    """A number for each band, which two traces share if they agree on the whole band."""
    for number, part in enumerate(ours.reshape(BANDS, _ROWS)):
        yield int.from_bytes(blake2b(bytes([number]) + part.tobytes(), digest_size=7).digest())
