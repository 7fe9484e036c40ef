"""What texts assert, as records: each text by itself, so that processes or a cluster can share the work."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..data.executor import Executor, Failed
from ..data.formats.json_lines import JsonLine
from ..data.processes import THIS_PROCESS
from ..validators.findings import claims


class LineFindings(NamedTuple):
    """A line that was read: its record, or what is wrong with it."""

    row: int
    record: dict[str, Any] | None
    problem: str = ""


def findings_of(
    lines: Iterable[JsonLine], *, explain: bool = False, executor: Executor = THIS_PROCESS
) -> Iterator[LineFindings]:
    """The record of every line: id, and findings with status, side, place, text and span.

    Args:
        lines: each with an id and a text.
        explain: give each finding its strength, and what made it.
        executor: reads them (data/executor.py).
    """
    for line, found in executor.map_rows(partial(_read, explain), lines, _content):
        yield (
            LineFindings(line.row, None, f"it could not be read: {found.reason}")
            if isinstance(found, Failed)
            else found
        )


def _content(line: JsonLine) -> str:
    return json.dumps([line.row, line.problem, line.found])


def _read(explain: bool, lines: Sequence[JsonLine]) -> list[LineFindings]:
    return [_one(line, explain=explain) for line in lines]


def _one(line: JsonLine, *, explain: bool) -> LineFindings:
    row = line.found or {}
    row_id, text = row.get("id"), row.get("text")
    if not isinstance(row_id, str | int) or not isinstance(text, str):
        return LineFindings(line.row, None, line.problem or "a string 'id' and a string 'text' are wanted")
    found = [
        {
            "finding": claim.finding,
            "status": claim.status,
            "side": claim.side,
            "place": ", ".join(claim.place) or None,
            "text": claim.text,
            "span": list(claim.span),
            **({"strength": claim.strength, "because": list(claim.because)} if explain else {}),
        }
        for claim in claims(text)
    ]
    return LineFindings(line.row, {"id": row_id, "findings": found})
