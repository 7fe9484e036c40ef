"""Reads JSON lines that others wrote: one object a line, each bad line named and the rest read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..schemas.errors import InputError

LONGEST = 10_000_000  # bytes; no report and its steps come near


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its object, or what is wrong with it."""

    row: int
    found: dict[str, Any] | None
    problem: str = ""


def json_lines(path: Path) -> Iterator[Line]:
    """Every line of a file that is not blank.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
    with stream:
        row = 0
        while data := stream.readline(LONGEST + 1):
            row += 1
            if len(data) > LONGEST:
                _skip(stream, data)
                yield Line(row, None, f"the line is longer than {LONGEST:,} bytes")
            elif data.strip():
                yield _line(row, data.removeprefix(b"\xef\xbb\xbf") if row == 1 else data)


def _line(row: int, data: bytes) -> Line:
    try:
        found = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Line(row, None, f"not UTF-8 at byte {error.start}")
    except (ValueError, RecursionError) as error:
        return Line(row, None, f"not JSON: {error}")
    if not isinstance(found, dict):
        return Line(row, None, f"a JSON object is wanted, not {type(found).__name__}")
    return Line(row, found)


def _skip(stream: BinaryIO, data: bytes) -> None:
    while data and not data.endswith(b"\n"):
        data = stream.readline(LONGEST)
