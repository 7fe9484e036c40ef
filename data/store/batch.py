"""A batch: what one part of a source came to, before it is in a store; and the head that batches add up to.

A worker makes a batch, the store's writer takes it. It knows which of its own studies are the first of their id, and
keeps no warning or trace of the others. The head (store.json) is what the store says of itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Any, NamedTuple, get_args

from pydantic import Field

from ...schemas.base import Record
from ...schemas.study import DataClass, RejectedRow, ReportForm, Study
from ..source import Marks, Row, RowsRead, SourceWarning

Counts = dict[str, dict[str, int]]
SIDE_FILES = ("rejected", "warnings", "traces")  # lines that are kept next to the studies


class FileStat(NamedTuple):
    """An image's file as it was when it was hashed: its path as the study has it, bytes, and time of change."""

    path: str
    size: int
    modified_ns: int


class Done(NamedTuple):
    """A batch whose studies have been written to a file; small enough to be sent between processes."""

    number: int
    studies: tuple[tuple[str, str], ...]  # ids and patients, in the file's order
    rejected: tuple[str, ...]  # JSON lines
    reasons: dict[str, int]
    side_lines: tuple[tuple[str, str, str, str], ...]  # warnings or traces; owner's id; code; JSON line
    images: tuple["FileStat", ...]
    rows: int  # of the source
    counts: Counts
    classes: tuple[DataClass, ...]
    form: ReportForm | None


class Batch:
    """Rows of a source, kept until they are written."""

    def __init__(self, patient_of: Callable[[str], str | None] = lambda _: None) -> None:
        """`patient_of` tells the patient of a study that is in the store already."""
        self._patient_of = patient_of
        self._place: dict[str, int] = {}
        self._patients: dict[str, str] = {}
        self._rows: int | None = None
        self.studies: list[Study] = []
        self.images: list[FileStat] = []
        self.derived: list[tuple[str, ...]] = []
        self.rejected: list[RejectedRow] = []
        self.side_lines: list[tuple[str, str, str, str]] = []

    def put(self, row: Row) -> bool:
        """Take whatever a source yields; False if it was a study that is refused, or belongs to one."""
        if isinstance(row, Study):
            known = self._patients.get(row.id) or self._patient_of(row.id)
            if known is not None:
                refused = taken(row.source, row.id, row.patient_id, known)
                self.rejected.append(refused)
                return False
            self._place[row.id] = len(self.studies)
            self._patients[row.id] = row.patient_id
            self.studies.append(row)
            self.derived.append(())
            return True
        if isinstance(row, RejectedRow):
            self.rejected.append(row)
            return True
        if isinstance(row, RowsRead):
            self._rows = (self._rows or 0) + row.rows
            return True
        owner = row.study_id if isinstance(row, Marks | SourceWarning) else row.id
        # a refused study's rows follow it, and would be taken for those of the first of that id
        if owner not in self._place or (self.rejected and self.rejected[-1].row == owner):
            return False
        if isinstance(row, Marks):
            self.derived[self._place[owner]] = row.derived
        else:
            part, code = ("warnings", row.code) if isinstance(row, SourceWarning) else ("traces", "")
            self.side_lines.append((part, owner, code, row.model_dump_json()))
        return True

    def pop(self) -> Study:
        """Give the last study back, of which nothing but itself has been put."""
        study = self.studies.pop()
        self.derived.pop()
        del self._place[study.id], self._patients[study.id]
        return study

    def done(self, number: int) -> Done:
        """The batch without its studies' text."""
        return Done(
            number=number,
            studies=tuple((study.id, study.patient_id) for study in self.studies),
            rejected=tuple(row.model_dump_json() for row in self.rejected),
            reasons=dict(Counter(row.reason for row in self.rejected)),
            side_lines=tuple(self.side_lines),
            images=tuple(self.images),
            rows=len(self.studies) + len(self.rejected) if self._rows is None else self._rows,
            counts=count(self.studies, self.derived),
            classes=tuple({study.data_class for study in self.studies}),
            form=self.studies[-1].report_form if self.studies else None,
        )

    def write(self, path: Path) -> None:
        """Write the studies, if there are any, and note how their images' files are now."""
        from . import parquet

        if self.studies:
            parquet.write(parquet.encode(self.studies, self.derived), path)
        for ref in (ref for study in self.studies for ref in study.images):
            try:
                found = (path.parent / ref.path).stat()
            except OSError:  # removed meanwhile: the next reader reports it
                continue
            self.images.append(FileStat(ref.path, found.st_size, found.st_mtime_ns))


def taken(source: str, study_id: str, patient: str, known: str) -> RejectedRow:
    """Why a study cannot have the id that a study of the patient `known` has."""
    if patient in (known, study_id):
        reason, detail = "duplicate_id", f"the id '{study_id}' is taken by an earlier row; ids must be unique"
    else:
        reason = "study_of_two_patients"
        detail = f"'{study_id}' is a study of '{known}' by an earlier row, and of '{patient}' by this one"
    return RejectedRow(source=source, row=study_id, reason=reason, detail=detail)


def count(studies: Iterable[Study], derived: Iterable[Iterable[str]]) -> Counts:
    """What a table of studies should say of them: studies by view, section and split, tokens, and what is derived."""
    views: Counter[str] = Counter()
    sections: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    images = tokens = longest = 0
    for study in studies:
        places = (place for ref in study.images for place in (ref.path, ref.original) if place is not None)
        outside.update(above for place in places if (above := ups(place)))
        for view in set(study.views) or ("unknown",):
            views[view] += 1
        for name, text in study.sections:
            if text:
                sections[name] += 1
        splits[study.split or "none"] += 1
        images += len(study.images)
        words = len(study.report.split())
        tokens += words
        longest = max(longest, words)
    for one in derived:
        for mark in one:
            marks[mark] += 1
    return {
        "views": dict(views),
        "sections": dict(sections),
        "splits": dict(splits),
        "derived": dict(marks),
        "outside": dict(outside),
        "sums": {"images": images, "tokens": tokens},
        "largest": {"tokens": longest},
    }


def ups(path: str) -> str:
    """How a relative path leads out of its folder: `..`, `../..`; empty if it does not, or is absolute."""
    parts = PurePath(path).parts
    return "/".join(parts[: next((n for n, part in enumerate(parts) if part != ".."), len(parts))])


def add_counts(one: Counts, other: Counts) -> Counts:
    """Both together."""
    total: Counts = {}
    for name in {**one, **other}:
        left, right = one.get(name, {}), other.get(name, {})
        join = max if name == "largest" else int.__add__
        total[name] = {key: join(left.get(key, 0), right.get(key, 0)) for key in {**left, **right}}
    return total


class StoreHead(Record):
    """What a store says of itself (store.json)."""

    source: str = Field(description="The kind of source it was ingested from.")
    data_class: DataClass = Field(description="restricted if a single study is.")
    report_form: ReportForm | None = Field(description="How the references were made; none without studies.")
    studies: int
    rejected: dict[str, int] = Field(description="Rejected rows by reason.")
    warnings: dict[str, int] = Field(description="Warnings by code.")
    traces: int = Field(description="Traces that came with the source, in traces.jsonl.")
    rows: int = Field(0, description="Rows of the source that were read.")
    images: int = Field(0, description="Images of all studies.")
    views: dict[str, int] = Field(default_factory=dict, description="Studies by view that they have.")
    sections: dict[str, int] = Field(default_factory=dict, description="Studies by section that their report has.")
    splits: dict[str, int] = Field(default_factory=dict, description="Studies by the source's own split.")
    derived: dict[str, int] = Field(
        default_factory=dict, description="Studies by what of them is not the source's own."
    )
    tokens: int = Field(0, description="Words of all references, by white space.")
    longest: int = Field(0, description="Words of the longest reference.")
    options: dict[str, Any] = Field(default_factory=dict, description="The options of the source.")
    image_roots: dict[str, str] = Field(
        default_factory=dict,
        description="Folders above the store under which images lie (`..`, ...), and where those were at ingest.",
    )
    finished: bool


class SourceTotals:
    """What the parts of a source have come to so far."""

    def __init__(self) -> None:
        self._counts: Counts = {}

    def add(self, counts: Counts) -> None:
        """One part more."""
        self._counts = add_counts(self._counts, counts)

    def of(self, name: str) -> Counter[str]:
        """Counts of one kind, e.g. rejected."""
        return Counter(self._counts.get(name, {}))

    @property
    def studies(self) -> int:
        """Studies."""
        return self.of("sums")["studies"]

    @property
    def rows(self) -> int:
        """Rows of the source."""
        return self.of("sums")["rows"]

    def head(self, root: Path, source: str, options: dict[str, Any]) -> StoreHead:
        """The head of a finished store at `root`."""
        sums, forms = self.of("sums"), self.of("forms")
        return StoreHead(
            source=source,
            data_class="public" if set(self.of("classes")) == {"public"} else "restricted",
            report_form=next((form for form in get_args(ReportForm) if form in forms), None),
            studies=sums["studies"],
            traces=self.of("traces").total(),
            rows=sums["rows"],
            images=sums["images"],
            tokens=sums["tokens"],
            longest=self.of("largest")["tokens"],
            options=options,
            image_roots={above: str((root / above).resolve()) for above in sorted(self.of("outside"))},
            finished=True,
            **{name: dict(sorted(self.of(name).items(), key=lambda pair: (-pair[1], pair[0]))) for name in _COUNTED},
        )


_COUNTED = ("rejected", "warnings", "views", "sections", "splits", "derived")
