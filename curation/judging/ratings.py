"""Ratings as files: what people or judges said of traces, one JSON object a line, or an audit's JSON.

    {"id": "s1", "patient_id": "p1", "coherence": 4, "accepted": true}

`id` names the item. `patient_id`, where it stands, says which items belong together. `key`, `rater`, `comment`, `at`
and what is no plain value are left alone; everything else answers the question it is named for; null is no answer.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...data.formats.json_lines import json_lines
from ...schemas.errors import InputError, cannot_be_read
from .raters import Value

_NOT_QUESTIONS = frozenset({"id", "patient_id", "key", "rater", "comment", "at", "schema_version", "row"})


class Ratings(NamedTuple):
    """What one rater said."""

    answers: dict[str, dict[str, Value]]  # item, question
    patients: dict[str, str]
    problems: list[str]


def read_ratings(path: Path) -> Ratings:
    """Read ratings.

    Raises:
        InputError: the file cannot be read, or holds no rating.
    """
    found = Ratings({}, {}, [])
    for row, fields, problem in _rows(path):
        name = fields.get("id") if fields else None
        if fields is None or isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            found.problems.append(f"{path}, row {row}: {problem or 'no id; the row was left out'}")
            continue
        item = str(name)
        if item in found.answers:
            found.problems.append(f"{path}, row {row}: '{item}' was rated before; the first rating counts")
            continue
        found.answers[item] = {
            question: value
            for question, value in fields.items()
            if question not in _NOT_QUESTIONS and isinstance(value, str | int | float) and value == value
        }
        if isinstance(patient := fields.get("patient_id"), str | int):
            found.patients[item] = str(patient)
    if not any(found.answers.values()):
        raise InputError("holds no ratings; one JSON object a line is wanted, with id and what was rated", file=path)
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    if path.suffix == ".json":
        try:
            items = json.loads(path.read_text("utf-8-sig"))["items"]
            yield from ((row, {"id": one["id"], "accepted": one["accepted"]}, "") for row, one in enumerate(items, 1))
        except OSError as error:
            raise InputError(cannot_be_read(error), file=path) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(
                "is not what `tenstep audit --json` writes; write it again, or give JSON Lines as .jsonl", file=path
            ) from None
    else:
        yield from ((line.row, line.found, line.problem) for line in json_lines(path))
