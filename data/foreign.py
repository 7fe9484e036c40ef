"""Rows of anybody's dataset, as they lie there: found, numbered and named, never judged or understood.

    a file             JSON Lines; a JSON array of objects; Parquet (intake/columnar.py)
    a folder           `<id>/report.txt` each; or the files above, also in sub-folders; or a Hugging Face dataset
                       that was saved to disk (intake/columnar.py); or a study store, whose traces came with its source

A file named for a split (train.jsonl, test-00000-of-00001.parquet) says the split of rows that do not say it
themselves. A row that cannot be read is a row with a problem; it never ends the reading. One row at a time is held.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..schemas.errors import InputError
from .intake.columnar import is_saved_dataset, parquet_rows, saved_rows
from .intake.images import locate, read_limited
from .intake.reports import Refusal
from .lines import json_lines
from .store.studies import StudyStore

_SPLIT = re.compile(r"(train|validation|valid|val|dev|test)(?![a-z])", re.I)
_REPORT = "report.txt"
_MAX_BYTES = 10_000_000  # of a report.txt; as long as a line may be
_TABLES = (".jsonl", ".ndjson", ".json", ".parquet")
_CHUNK = 1 << 20  # characters of a JSON array that are read at once


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
        MissingExtraError: it is Parquet or a saved dataset, and the library that reads it is absent.
    """
    if not path.exists():
        raise InputError("there is no such file or folder", file=path)
    if not path.is_dir():
        return _file(path, "")
    if (path / "store.json").is_file():
        return _store(path)
    if is_saved_dataset(path):
        return _saved(path)
    tables = sorted(p for p in path.rglob("*") if p.suffix.lower() in _TABLES and p.is_file() and _is_data(p, path))
    if any(path.glob(f"*/{_REPORT}")):
        return _folders(path)
    if tables:
        return (raw for table in tables for raw in _file(table, str(table.relative_to(path))))
    raise InputError(
        f"holds nothing to audit: neither <id>/{_REPORT}, nor .jsonl, .json or .parquet files, nor a saved dataset, "
        "a study store or a run",
        file=path,
    )


def _is_data(path: Path, root: Path) -> bool:
    """Not hidden, and no description of the data, as lies beside it where the hub had it."""
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and (path.suffix.lower() != ".json" or _opens_array(path))


def _file(path: Path, name: str) -> Iterator[Raw]:
    named = _SPLIT.match(path.name)
    split = named[1].lower() if named else None
    return (Raw(row, fields, problem, name, split) for row, fields, problem in _read(path))


def _read(path: Path) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    if path.suffix.lower() == ".parquet":
        yield from ((row, fields, "") for row, fields in enumerate(parquet_rows(path), 1))
    elif path.suffix.lower() == ".json" and _opens_array(path):
        yield from _array(path)
    else:
        yield from ((line.row, line.found, line.problem) for line in json_lines(path))


def _opens_array(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None


def _array(path: Path) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    """The objects of a JSON array, one by one; where it is torn, what follows cannot be found again."""
    decoder, text, row = json.JSONDecoder(), "", 0
    with path.open(encoding="utf-8-sig") as stream:
        try:
            text = stream.read(_CHUNK).lstrip().removeprefix("[").lstrip()
            while not text.startswith("]"):
                try:
                    found, end = decoder.raw_decode(text)
                except ValueError:
                    more = stream.read(max(_CHUNK, len(text)))
                    if not more or len(text) > _MAX_BYTES:
                        raise
                    text += more
                    continue
                row += 1
                good = isinstance(found, dict)
                problem = "" if good else f"a JSON object is wanted, not {type(found).__name__}"
                yield row, found if good else None, problem
                text = (text[end:].lstrip() or stream.read(_CHUNK).lstrip()).removeprefix(",").lstrip()
                text = text or stream.read(_CHUNK).lstrip()
        except UnicodeDecodeError as error:
            yield row + 1, None, f"not UTF-8 near byte {error.start}; nothing after this row can be read"
        except (ValueError, RecursionError) as error:
            yield row + 1, None, f"not JSON: {error}; nothing after this row can be read"


def _saved(path: Path) -> Iterator[Raw]:
    last, row = None, 0
    for split, fields in saved_rows(path):
        row = row + 1 if split == last else 1
        last = split
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
        patient = None if study.patient_id == study.id else study.patient_id  # where nobody knows, the id stands in
        fields |= {"patient_id": patient, "labels": study.labels, "split": study.split}
        yield Raw(row, fields, split=study.split)


def _folders(path: Path) -> Iterator[Raw]:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    for row, entry in enumerate(entries, 1):
        text = _report(entry, path)
        if isinstance(text, Refusal):
            yield Raw(row, None, text.detail, entry.name)
        else:
            yield Raw(row, {"id": entry.name, "text": text}, file=entry.name)


def _report(entry: Path, root: Path) -> str | Refusal:
    if not entry.is_dir():
        return Refusal("not_a_folder", f"'{entry.name}' is no folder with a {_REPORT}")
    place = locate(entry / _REPORT, root)
    data = place if isinstance(place, Refusal) else read_limited(place, _MAX_BYTES, "long_report")
    if isinstance(data, Refusal):
        return data
    try:
        return data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        return Refusal("bad_encoding", f"not UTF-8 at byte {error.start}")
