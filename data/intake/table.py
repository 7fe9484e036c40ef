"""CSV files row by row: columns checked first, every unusable row named, constant memory; whole or in parts.

A part is a range of bytes that begins and ends between records. Where a record ends is told by counting quotes; the
count is checked against the table's width at every cut, so that a stray quote costs the rows around it and no more.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from ...schemas.errors import InputError
from .reports import Refusal

MAX_UNPACKED = 4 * 2**30  # bytes of a .gz; a bomb is refused here
_MAX_FIELD = 2**24  # characters; longer reports than a report can be must be read to be refused
PART = 2**20  # bytes, some thousand reports


class Line(NamedTuple):
    """One record: the line of the file on which it ends, and its cells by column or why it cannot be used."""

    number: int
    cells: dict[str, str] | Refusal


class Part(NamedTuple):
    """Some records of a file: their bytes, the line before them, and the file's columns."""

    path: Path
    start: int
    end: int
    line: int
    header: tuple[str, ...]
    size: int  # of the whole file


def read_csv(path: Path, columns: Sequence[str], keep: Sequence[str] | None = None) -> Iterator[Line]:
    """The records of a comma-separated file, perhaps a .gz, all as text.

    Args:
        path: the file.
        columns: those that it must have.
        keep: those that are wanted of the rest; none: all.

    Raises:
        InputError: the file cannot be opened, is empty, or lacks a column.
    """
    file = _open(path)
    with file:
        numbered = _lines(file, path)
        reader = csv.reader(numbered, strict=True)
        _allow_long_fields()
        header = _header(_next(reader), columns, path)
        wanted = _wanted(header, keep)
        while (row := _next(reader)) is not None:
            if row:
                yield Line(reader.line_num, row if isinstance(row, Refusal) else _cells(row, len(header), wanted))


def csv_parts(
    path: Path, columns: Sequence[str], same: Callable[[Sequence[str]], str] | None = None, size: int = PART
) -> Iterator[Part]:
    """Cut a file into parts of about `size` bytes.

    Args:
        path: the file, not compressed.
        columns: those that it must have.
        same: says which records belong together, if they stand together: no cut comes between them.
        size: bytes.

    Raises:
        InputError: the file cannot be opened, is empty, compressed, or lacks a column.
    """
    with _open(path, plain=True) as file:
        first = _Offsets(file)
        reader = csv.reader(first, strict=True)
        _allow_long_fields()
        header = tuple(_header(_next(reader), columns, path))
        start, line = first.offset, reader.line_num
        file.seek(0, 2)
        end = file.tell()
        while start < end:
            cut, lines = _cut(file, start, min(start + size, end), end, len(header), same)
            yield Part(path, start, cut, line, header, end)
            start, line = cut, line + lines


def read_part(part: Part, keep: Sequence[str] | None = None) -> Iterator[Line]:
    """The records of one part; `keep` as in `read_csv`.

    Raises:
        InputError: the file cannot be read, or is no longer as long as it was.
    """
    try:
        with part.path.open("rb") as file:
            file.seek(part.start)
            data = file.read(part.end - part.start)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=part.path) from None
    if len(data) < part.end - part.start:
        raise InputError("the file became shorter while it was read", file=part.path)
    _allow_long_fields()
    text = data.decode("utf-8", "surrogateescape")
    reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    wanted = _wanted(part.header, keep)
    while (row := _next(reader)) is not None:
        if row:
            cells = row if isinstance(row, Refusal) else _cells(row, len(part.header), wanted)
            yield Line(part.line + reader.line_num, cells)


def share_of(part: Part) -> float:
    """How much of the file lies up to the end of a part."""
    return part.end / part.size


def _open(path: Path, *, plain: bool = False) -> BinaryIO:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if zipped and plain:
        file.close()
        raise InputError(f"compressed, and only a plain file is read in parts; unpack it: gunzip -k {path}", file=path)
    if not zipped:
        return file
    file.close()
    return cast(BinaryIO, gzip.open(path, "rb"))


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    """Lines of text; of a line that is too long, or a file that unpacks without end, no more is held than the limit."""
    left = MAX_UNPACKED
    first = True
    try:
        while line := file.readline(_MAX_FIELD + 1):
            left -= len(line)
            if len(line) > _MAX_FIELD or left < 0:
                raise InputError("far larger than a table of this kind; refused", file=path)
            yield (line.removeprefix(b"\xef\xbb\xbf") if first else line).decode("utf-8", "surrogateescape")
            first = False
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise csv.Error(f"the compressed file is damaged or cut off: {error}") from None


class _Offsets:
    """Lines of a file, and how many bytes they were."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(_MAX_FIELD)
        if not line:
            raise StopIteration
        text = line.removeprefix(b"\xef\xbb\xbf") if self.offset == 0 else line
        self.offset += len(line)
        return text.decode("utf-8", "surrogateescape")


def _header(header: list[str] | Refusal | None, columns: Sequence[str], path: Path) -> list[str]:
    if header is None:
        raise InputError("the file is empty", file=path, row=1)
    if isinstance(header, Refusal):
        raise InputError(header.detail, file=path, row=1)
    for column in columns:
        if column not in header:
            found = ", ".join(name[:30] for name in header[:12])
            other = next((name for name in (";", "\t", "|") if len(header) == 1 and name in header[0]), None)
            hint = f"; is it separated by {other!r}? a comma is wanted" if other else ""
            raise InputError(f"the column is missing; found: {found}{hint}", file=path, row=1, field=column)
    return header


def _cut(
    file: BinaryIO, start: int, stop: int, end: int, width: int, same: Callable[[Sequence[str]], str] | None
) -> tuple[int, int]:
    """The last place at or before `stop`, or the first after it, where a record ends; and the lines up to there."""
    file.seek(start)
    block = file.read(stop - start)
    while stop < end:
        for parity in (0, 1):
            at = _last_break(block, parity)
            if not at:  # one long record, so far
                break
            if _opens_record(block[at:], file, width):
                cut = at if same is None else at + _until_other(block[at:], file, same)
                if cut > len(block):
                    file.seek(start)
                    block = file.read(cut)
                return start + cut, block.count(b"\n", 0, cut)
        if len(block) > 4 * _MAX_FIELD:
            break
        file.seek(stop)
        more = file.read(PART)
        block += more
        stop += len(more)
    return start + len(block), block.count(b"\n")


def _last_break(block: bytes, parity: int) -> int:
    """Behind the last line feed with an even (0) or odd number of quotes before it; 0 if there is none."""
    at, quotes = len(block), block.count(b'"')
    while (found := block.rfind(b"\n", 0, at)) >= 0:
        quotes -= block.count(b'"', found, at)
        if quotes % 2 == parity:
            return found + 1
        at = found
    return 0


def _following(rest: bytes, file: BinaryIO) -> Iterator[tuple[list[str] | Refusal, int]]:
    """Records from the rest of a block on, whatever lies in the file behind it, each with its number of bytes."""
    at = file.tell()
    lines = _Offsets(cast(BinaryIO, io.BufferedReader(_Joined(rest, file))))
    lines.offset = 1  # not the file's first line, so no byte order mark
    reader = csv.reader(lines, strict=True)
    before = lines.offset
    while (row := _next(reader)) is not None:
        yield row, lines.offset - before
        before = lines.offset
    file.seek(at)


class _Joined(io.RawIOBase):
    def __init__(self, rest: bytes, file: BinaryIO) -> None:
        self._rest, self._file = rest, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase says any buffer
        data = self._rest[: len(buffer)] or self._file.read(len(buffer))
        self._rest = self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _opens_record(rest: bytes, file: BinaryIO, width: int) -> bool:
    at = file.tell()
    row, _ = next(_following(rest, file), ([], 0))
    file.seek(at)
    return not isinstance(row, Refusal) and len(row) == width


def _until_other(rest: bytes, file: BinaryIO, same: Callable[[Sequence[str]], str]) -> int:
    """How many bytes the records take that belong to the first one."""
    at = file.tell()
    taken, first = 0, None
    for row, length in _following(rest, file):
        key = None if isinstance(row, Refusal) else same(row)
        if first is None:
            first = key
        elif key != first:
            break
        taken += length
    file.seek(at)
    return taken


def _allow_long_fields() -> None:
    if csv.field_size_limit() < _MAX_FIELD:
        csv.field_size_limit(_MAX_FIELD)


def _next(reader: Iterator[list[str]]) -> list[str] | Refusal | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        return Refusal("bad_csv", f"not a CSV record ({error}); is a quote missing, or the file cut off?")


def _wanted(header: Sequence[str], keep: Sequence[str] | None) -> list[tuple[int, str]]:
    return [(place, name) for place, name in enumerate(header) if keep is None or name in keep]


def _cells(row: list[str], width: int, wanted: Sequence[tuple[int, str]]) -> dict[str, str] | Refusal:
    if len(row) != width:
        return Refusal("bad_csv", f"{len(row)} cells where the header has {width}; is the file cut off?")
    cells = {name: row[place] for place, name in wanted}
    for cell in cells.values():
        if not cell.isascii():
            try:
                cell.encode()
            except UnicodeEncodeError:
                return Refusal("bad_encoding", "not UTF-8; save the file as UTF-8")
    return cells
