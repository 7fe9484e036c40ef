"""Lines of a file: JSON Lines, one object a line, each bad line named and the rest read; and lists of ids.

A line ends at a line feed and nowhere else: JSON may hold U+2028, U+0085 and their like inside a string. A byte order
mark at the beginning is no part of the first line. What is gzipped is read as it is.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from ...schemas.errors import InputError
from ...schemas.layout import each_key_once
from .packed import CutOffError, open_file

LONGEST = 10_000_000  # bytes of a line; no report and its steps come near
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class JsonLine:
    """One line: its object, or what is wrong with it."""

    row: int
    found: dict[str, Any] | None
    problem: str = ""


def json_lines(path: Path) -> Iterator[JsonLine]:
    """Every line of a file that is not blank.

    Raises:
        InputError: the file cannot be opened. Where a compressed file breaks off, the last line says so.
    """
    for row, data in raw_lines(path):
        if data is None:
            yield JsonLine(row, None, f"the line is longer than {LONGEST:,} bytes")
        elif isinstance(data, str):
            yield JsonLine(row, None, data)
        else:
            found = object_of(data)
            yield JsonLine(row, None, found) if isinstance(found, str) else JsonLine(row, found)


def object_of(data: bytes) -> dict[str, Any] | str:
    """The object of one line, or what is wrong with it; a key that stands twice is, for one value would be lost."""
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=each_key_once)
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start}; save the file as UTF-8"
    except (json.JSONDecodeError, RecursionError) as error:
        return f"not JSON: {str(error)[:120]}"
    except ValueError as error:  # a key that stands twice, or a number of thousands of digits
        return str(error).partition(";")[0][:120]
    return found if isinstance(found, dict) else f"a JSON object is wanted, not {type(found).__name__}"


def raw_lines(path: Path) -> Iterator[tuple[int, bytes | str | None]]:
    """Numbered lines that are not blank, as bytes; none for one that is too long, a text where the file breaks off.

    Raises:
        InputError: the file cannot be opened.
    """
    with open_file(path) as stream:
        row = 0
        try:
            while data := stream.readline(LONGEST + 1):
                row += 1
                if row == 1:
                    data = data.removeprefix(_MARK)
                if len(data) > LONGEST:
                    _skip(stream, data)
                    yield row, None
                elif data.strip():
                    yield row, data
        except CutOffError as error:
            yield row + 1, error.message


def id_lines(path: Path) -> Iterator[str]:
    """The lines of a list, without white space around them; blank ones and those that open with `#` are left out.

    Raises:
        InputError: the file cannot be read, or a line is no text.
    """
    for row, data in raw_lines(path):
        if not isinstance(data, bytes):
            raise InputError(data or "the line is too long for an id", file=path, row=row)
        try:
            text = data.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise InputError("not UTF-8; save the list as UTF-8", file=path, row=row) from None
        if not text.startswith("#"):
            yield text


def _skip(stream: BufferedIOBase, data: bytes) -> None:
    while data and not data.endswith(b"\n"):
        data = stream.readline(LONGEST)
