"""Rows of anybody's dataset, as they lie there: found, numbered and named, never judged or understood.

    a file             JSON Lines; a JSON array of objects; Parquet; CSV; gzipped or not
    a folder           `<id>/report.txt` each; or the files above, also in sub-folders; or a Hugging Face dataset
                       that was saved to disk; or a study store, whose traces came with its source

A file named for a split (train.jsonl, test-00000-of-00001.parquet) says the split of rows that do not say it
themselves. A row that cannot be read is a row with a problem; it never ends the reading. One row at a time is held.
The readers are those of data/formats/, which ingest reads with too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..schemas.errors import InputError, TenstepError
from .formats.columnar import is_saved_dataset, parquet_rows, parts_of, saved_rows, shape
from .formats.folders import REPORT, report_of
from .formats.json_array import array_objects, opens_array
from .formats.json_lines import json_lines
from .formats.packed import suffix_of
from .formats.table import read_csv
from .intake.reports import Refusal
from .store.studies import StudyStore

_SPLIT = re.compile(r"(train|validation|valid|val|dev|test)(?![a-z])", re.I)
_TABLES = (".jsonl", ".ndjson", ".json", ".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class Raw:
    """One row: its fields, or what is wrong with it."""

    row: int  # counted from 1 in its file, or among the folders
    fields: dict[str, Any] | None
    problem: str = ""
    file: str = ""  # which of several files, or which folder; empty where the path itself is the file
    split: str | None = None


def rows(path: Path) -> Iterator[Raw]:
    """Every row that lies at a path.

    Raises:
        InputError: nothing lies there, or nothing that is known.
        MissingExtraError: it is a saved dataset, and the library that reads it is absent.
    """
    if not path.exists():
        raise InputError("there is no such file or folder; check the name", file=path)
    if not path.is_dir():
        return _file(path, "")
    if (path / "store.json").is_file():
        return _store(path)
    if is_saved_dataset(path):
        return _saved(path)
    if any(path.glob(f"*/{REPORT}")) or any(path.glob(f"*/{REPORT}.gz")):
        return _folders(path)
    tables = sorted(p for p in path.rglob("*") if suffix_of(p) in _TABLES and p.is_file() and _is_data(p, path))
    if tables:
        return (raw for table in tables for raw in _file(table, str(table.relative_to(path))))
    raise InputError(
        f"holds nothing to audit: neither <id>/{REPORT}, nor {', '.join(_TABLES)} files (or these as .gz), "
        "nor a saved dataset, a study store or a run",
        file=path,
    )


def count(path: Path) -> int | None:
    """About how many rows lie at a path, for a progress bar; none where finding out would take long."""
    try:
        if path.is_file():
            return _count(path)
        if (path / "store.json").is_file():
            return StudyStore.open(path).head.traces
        if is_saved_dataset(path):
            return sum(shape(part, light=True)[1] for part, _ in parts_of(path))
        if any(path.glob(f"*/{REPORT}")):
            return sum(not entry.name.startswith(".") for entry in path.iterdir())
        counts = [_count(p) for p in path.rglob("*") if suffix_of(p) in _TABLES and p.is_file() and _is_data(p, path)]
        known = [number for number in counts if number is not None]
        return sum(known) if len(known) == len(counts) else None
    except (OSError, TenstepError):
        return None  # the reader of the file reports why


def _count(path: Path) -> int | None:
    """Rows of Parquet, lines of JSON Lines."""
    if suffix_of(path) == ".parquet":
        return shape(path, light=True)[1]
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        return None
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def _is_data(path: Path, root: Path) -> bool:
    """Not hidden, and no description of the data, as lies next to it where it came from the hub."""
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and (suffix_of(path) != ".json" or opens_array(path))


def _file(path: Path, name: str) -> Iterator[Raw]:
    named = _SPLIT.match(path.name)
    split = named[1].lower() if named else None
    for row, found in _read(path):
        if isinstance(found, dict):
            yield Raw(row, found, "", name, split)
        else:
            yield Raw(row, None, found, name, split)


def _read(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    suffix = suffix_of(path)
    if suffix == ".parquet":
        yield from enumerate(parquet_rows(path), 1)
    elif suffix == ".csv":
        for record in read_csv(path, ()):
            yield record.number, record.cells.detail if isinstance(record.cells, Refusal) else record.cells
    elif suffix == ".json" and opens_array(path):
        for item in array_objects(path):
            yield item.number, item.found.detail if isinstance(item.found, Refusal) else item.found
    else:
        for line in json_lines(path):
            yield line.row, line.problem if line.found is None else line.found


def _saved(path: Path) -> Iterator[Raw]:
    last, row = None, 0
    for split, fields in saved_rows(path):
        row = row + 1 if split == last else 1
        last = split
        if isinstance(fields, str):
            yield Raw(row, None, fields, split or "", split)
        else:
            yield Raw(row, fields, file=split or "", split=split)


def _store(path: Path) -> Iterator[Raw]:
    """The traces that came with a store's studies, with what the studies say of patient, split and labels."""
    store = StudyStore.open(path)
    for row, trace in enumerate(store.traces(), 1):
        fields = trace.model_dump(mode="json")
        try:
            study = store.get(trace.id)
        except InputError as error:
            yield Raw(row, None, error.message)
            continue
        patient = None if study.patient_id == study.id else study.patient_id  # where it is not known, the id stands in
        fields |= {"patient_id": patient, "labels": study.labels, "split": study.split}
        yield Raw(row, fields, split=study.split)


def _folders(path: Path) -> Iterator[Raw]:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    for row, entry in enumerate(entries, 1):
        text = report_of(entry, path)
        if isinstance(text, Refusal):
            yield Raw(row, None, text.detail, entry.name)
        else:
            yield Raw(row, {"id": entry.name, "text": text}, file=entry.name)
