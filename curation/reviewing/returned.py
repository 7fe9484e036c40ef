"""Decisions from a file: what exchange.py wrote, or what a spreadsheet, Argilla or Label Studio made of it.

What comes back is a new revision of its reader's reading: nothing is replaced.
"""

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ...data.formats.packed import open_file
from ...data.ids import plain_id
from ...data.run import RunFolder
from ...schemas.errors import InputError, cannot_be_read, first_fault
from ...schemas.reading import Reading
from .exchange import without_escape, wrong_steps
from .index import TraceIndex

_CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")  # a plug-in's rules, and an earlier version's, have codes of their own
_LARGEST = 200_000_000  # bytes; a decision with its texts is a few thousand


class Foreign(NamedTuple):
    """A decision as a file holds it."""

    key: str
    reader: str
    decision: str
    said: dict[str, Any]  # the other fields of a reading that the file holds; what it does not hold stays as it was
    seconds: float = 0.0


def read_foreign(path: Path) -> list[Foreign]:
    """Decisions from a file that `csv`, `argilla` or `label-studio` wrote, or that those tools gave back.

    Raises:
        InputError: it cannot be read, or is none of these.
    """
    text = _text(path)
    if not text.lstrip().startswith("["):
        return list(_from_csv(text, path))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"is not JSON ({error}); export it again from where the decisions were made", file=path
        ) from None
    decisions: list[Foreign] = []
    for row, one in enumerate(found, 1):
        try:
            decisions += _from_label_studio(one) if "annotations" in one else _from_argilla(one)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            raise InputError("is neither an Argilla record nor a Label Studio task", file=path, row=row) from None
    return decisions


def _text(path: Path) -> str:
    try:
        with open_file(path) as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(cannot_be_read(error), file=path) from None
    if len(data) > _LARGEST:
        raise InputError(f"holds more than {_LARGEST:,} bytes; split it", file=path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 at byte {error.start}; save the file as UTF-8", file=path) from None


def _from_csv(text: str, path: Path) -> Iterator[Foreign]:
    rows = csv.DictReader(io.StringIO(text, newline=""), restval="")
    if missing := {"key", "reader", "decision"} - set(rows.fieldnames or ()):
        raise InputError(
            f"has no column {', '.join(sorted(missing))}; for an example: tenstep reviews RUN --to csv",
            file=path,
            row=1,
        )
    columns = _FIELDS.keys() & set(rows.fieldnames or ())
    try:
        for row in rows:
            said = {_FIELDS[name][0]: _FIELDS[name][1](without_escape(row[name])) for name in columns}
            yield Foreign(row["key"], without_escape(row["reader"]), row["decision"], said)
    except csv.Error as error:
        raise InputError(f"is no CSV ({error}); save it again as CSV", file=path, row=rows.line_num) from None


def _wrong(text: str) -> tuple[dict[str, Any], ...]:
    return tuple({"step": int(word) if word.isdecimal() else word, "mark": "wrong"} for word in text.split())


_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {  # of a CSV, and of a reading
    "kind": ("kind", lambda text: text.strip().lower() or "reading"),
    "comment": ("comment", str),
    "codes": ("codes", lambda text: tuple(text.split())),
    "reference": ("reference", lambda text: text.strip() or None),
    "wrong_steps": ("steps", _wrong),
}


def _from_argilla(record: dict[str, Any]) -> Iterator[Foreign]:
    comments = {one["user_id"]: one["value"] for one in record["responses"].get("comment", ())}
    for one in record["responses"]["decision"]:
        said = {"comment": comments.get(one["user_id"]) or ""}
        yield Foreign(str(record["id"]), str(one["user_id"]), str(one["value"]), said)


def _from_label_studio(task: dict[str, Any]) -> Iterator[Foreign]:
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):  # skipped there: what it holds was never sent
            continue
        by = annotation["completed_by"]
        reader = str(by.get("email") or by.get("id")) if isinstance(by, dict) else str(by)
        values = {one["from_name"]: one["value"] for one in annotation["result"]}
        if "decision" in values:
            comment = " ".join(values.get("comment", {}).get("text", ()))
            seconds = float(annotation.get("lead_time") or 0)
            decision = str(values["decision"]["choices"][0])
            yield Foreign(str(task["data"]["key"]), reader, decision, {"comment": comment}, seconds)


class Taken(NamedTuple):
    """What became of a file's decisions."""

    added: int
    same: int  # the reader's current decision already
    foreign: tuple[str, ...]  # keys that the run does not have


def readings_from(
    run: RunFolder, found: Iterable[Foreign], current: Iterable[Reading], path: Path
) -> tuple[list[Reading], Taken]:
    """The readings to add for a file's decisions; of two rows of one reader about one candidate, the last counts.

    Raises:
        InputError: not one of them is about this run, a decision is none of accept, reject and unsure, a reader's name
            is none, or a code has no code's form.
    """
    have = {(reading.key, reading.reader, reading.kind): reading for reading in current}
    index = TraceIndex(run)
    index.close()
    read: dict[tuple[str, str, str], Reading | None] = {}  # none: there already
    foreign: list[str] = []
    for row, given in enumerate(found, 1):
        entry = index.entries.get(plain_id(given.key).casefold())
        if entry is None:
            foreign.append(given.key)
            continue
        one = given._replace(key=entry.key, reader=plain_id(given.reader), decision=given.decision.strip().lower())
        if not one.reader or not one.reader.isprintable():
            raise InputError("a name of visible letters is wanted", file=path, row=row, field="reader")
        if unknown := [code for code in one.said.get("codes", ()) if not _CODE.fullmatch(code)]:
            raise InputError(
                f"{unknown[0][:60]!r} is no rule's code; see: tenstep rules", file=path, row=row, field="codes"
            )
        at = (one.key, one.reader, one.said.get("kind", "reading"))
        read[at] = _reading(one, entry.study_id, have.get(at), path, row)
    if foreign and not read:
        raise InputError(
            f"is about another run: none of its {len(foreign)} keys is in {run.path}; name the run that was read",
            file=path,
        )
    new = [reading for reading in read.values() if reading is not None]
    return new, Taken(len(new), len(read) - len(new), tuple(foreign))


def _reading(given: Foreign, study_id: str, old: Reading | None, path: Path, row: int) -> Reading | None:
    """What a reader says now; none if nothing of it is new."""
    said, fields = dict(given.said), dict[str, Any]()
    if old is not None and old.decision == given.decision:
        fields = old.model_dump()
        if "steps" in said and [one["step"] for one in said["steps"]] == wrong_steps(old):
            del said["steps"]  # a file does not hold what else was marked or rewritten
        if all(fields[name] == value for name, value in said.items()):
            return None
    made = {
        "key": given.key,
        "study_id": study_id,
        "reader": given.reader,
        "decision": given.decision,
        "revision": 1,
        "saw_findings": True,
        "queue": f"import:{path.name}",
        "seconds": given.seconds,
        "at": time.time(),
    }
    try:
        return Reading.model_validate(fields | made | said)
    except ValidationError as error:
        _, field = first_fault(error)
        wrong = "accept, reject or unsure is wanted" if field == "decision" else "cannot be read"
        raise InputError(wrong, file=path, row=row, field=field) from None
