"""CSV files row by row: columns checked first, every unusable row named, constant memory."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..schemas.errors import InputError
from .reports import Refusal


class Line(NamedTuple):
    """One record: the line of the file on which it ends, and its cells by column or why it cannot be used."""

    number: int
    cells: dict[str, str] | Refusal


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[Line]:
    """The records of a comma-separated file, all as text, with these columns and perhaps more.

    Raises:
        InputError: the file cannot be opened, is empty, or lacks a column.
    """
    try:
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
    with file:
        reader = csv.reader(file, strict=True)
        header = _next(reader)
        if header is None:
            raise InputError("the file is empty", file=path, row=1)
        if isinstance(header, Refusal):
            raise InputError(header.detail, file=path, row=1)
        for column in columns:
            if column not in header:
                found = ", ".join(name[:30] for name in header[:12])
                raise InputError(f"the column is missing; found: {found}", file=path, row=1, field=column)
        while (row := _next(reader)) is not None:
            if row:
                yield Line(reader.line_num, row if isinstance(row, Refusal) else _cells(header, row))


def _next(reader: Iterator[list[str]]) -> list[str] | Refusal | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        return Refusal("bad_csv", f"not a CSV record ({error}); is a quote missing, or the file cut off?")


def _cells(header: list[str], row: list[str]) -> dict[str, str] | Refusal:
    if len(row) != len(header):
        return Refusal("bad_csv", f"{len(row)} cells where the header has {len(header)}; is the file cut off?")
    if any("\udc80" <= c <= "\udcff" for cell in row for c in cell):
        return Refusal("bad_encoding", "not UTF-8; save the file as UTF-8")
    return dict(zip(header, row, strict=True))
