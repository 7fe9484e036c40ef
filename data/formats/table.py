"""CSV files, gzipped or not, row by row: columns checked first, every unusable row named, constant memory.

pyarrow.csv is quicker and will not do: one stray quote ends its reading, and it does not say on which line a row lies.
Here a broken record costs its own lines and no more: the reading goes on with the next line that is a whole record.
"""

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...schemas.errors import InputError
from ..intake.reports import Refusal
from .packed import CutOffError, open_file

_MAX_FIELD = 2**24  # characters; longer reports than a report can be must be read to be refused
_BLOCK = 2**18  # bytes
PART = 2**19  # characters, some hundred reports


if TYPE_CHECKING:
    from _csv import Reader


class CsvRow(NamedTuple):
    """One record: the line of the file on which it ends, and its cells by column or why it cannot be used."""

    number: int
    cells: dict[str, str] | Refusal


class CsvTable:
    """A CSV file, opened: its header is checked; iterating reads it once, from the first record on.

    Args:
        path: the file.
        columns: those that it must have.
        keep: those that are wanted of the rest; none: all.

    Raises:
        InputError: the file cannot be opened, is empty, or lacks a column.
    """

    def __init__(self, path: Path, columns: Sequence[str], keep: Sequence[str] | None = None) -> None:
        if csv.field_size_limit() < _MAX_FIELD:
            csv.field_size_limit(_MAX_FIELD)
        self.path = path
        self._size = path.stat().st_size if path.exists() else 0
        self._keep = keep
        self._lines = _Lines(open_file(path), path)
        try:
            self._reader = self._lines.reader()
            self.header = tuple(self._header(columns))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close a file that is not read to its end."""
        self._lines.stream.close()

    @property
    def share(self) -> float | None:
        """How much of the file has been read, from 0 to 1; none for a compressed one."""
        return min(self._lines.read / self._size, 1.0) if self._lines.read <= self._size else None

    def __iter__(self) -> Iterator[CsvRow]:
        width = len(self.header)
        wanted = [(at, name) for at, name in enumerate(self.header) if self._keep is None or name in self._keep]
        lines = self._lines
        broken: tuple[int, str] | None = None  # a record that is none, whose lines are still passed over
        with lines.stream:
            while True:
                start = lines.start = lines.base + self._reader.line_num
                try:
                    row = next(self._reader, None)
                except csv.Error as error:
                    broken = broken or (start + 1, str(error))
                    self._reader = lines.reader(start + 1, lines.base + self._reader.line_num)
                    continue
                except CutOffError as error:
                    yield CsvRow(start + 1, Refusal("bad_csv", error.message))
                    return
                if broken and (row is None or len(row) == width):
                    yield _broken(broken, start)
                    broken = None
                if row is None:
                    return
                if row and not broken:
                    yield CsvRow(lines.base + self._reader.line_num, _cells(row, width, wanted))

    def _header(self, columns: Sequence[str]) -> list[str]:
        try:
            header: list[str] | None = next(self._reader, None)
        except csv.Error as error:
            raise InputError(f"not a CSV record ({error}); is a quote missing?", file=self.path, row=1) from None
        if header is None:
            raise InputError(
                "the file is empty; a header with the names of the columns is wanted", file=self.path, row=1
            )
        for column in columns:
            if column not in header:
                found = ", ".join(name[:30] for name in header[:12])
                other = next((name for name in (";", "\t", "|") if len(header) == 1 and name in header[0]), None)
                hint = f"; is it separated by {other!r}? a comma is wanted" if other else ""
                raise InputError(f"the column is missing; found: {found}{hint}", file=self.path, row=1, field=column)
        return header


def read_csv(path: Path, columns: Sequence[str], keep: Sequence[str] | None = None) -> Iterator[CsvRow]:
    """The records of a comma-separated file, all as text; arguments and errors are those of `CsvTable`."""
    yield from CsvTable(path, columns, keep)


def size_of(line: CsvRow) -> int:
    """Characters of a record."""
    return 0 if isinstance(line.cells, Refusal) else sum(map(len, line.cells.values()))


def in_parts(lines: Iterable[CsvRow], size: int) -> Iterator[tuple[CsvRow, ...]]:
    """Records some at a time, of about `size` characters."""
    held: list[CsvRow] = []
    length = 0
    for line in lines:
        held.append(line)
        length += size_of(line)
        if length >= size:
            yield tuple(held)
            held, length = [], 0
    if held:
        yield tuple(held)


class _Lines:
    """Lines of a file as text, block by block; those since the beginning of a record can be read again."""

    def __init__(self, stream: io.BufferedIOBase, path: Path) -> None:
        self.stream, self._path = stream, path
        self.read = 0  # bytes
        self.base = 0  # lines before the first one of the reader
        self.start = 0  # the line behind which the record begins that is being read
        self._blocks: deque[tuple[int, list[str]]] = deque()  # with the number of lines before each
        self._rest: Iterator[str] = chain.from_iterable(self._read())

    def reader(self, first: int = 0, stop: int = 0) -> "Reader":
        """A reader of the lines that have been read behind number `first` and up to `stop`, and then of the rest."""
        self.base = first
        again = [
            line for before, lines in self._blocks for line in lines[max(first - before, 0) : max(stop - before, 0)]
        ]
        self._rest = chain(again, self._rest)
        return csv.reader(self._rest, strict=True)

    def _read(self) -> Iterator[list[str]]:
        number = 0
        cut: CutOffError | None = None
        while not cut and (block := self.stream.read1(_BLOCK)):
            if not block.endswith(b"\n"):
                try:
                    block += (tail := self.stream.readline(_MAX_FIELD + 1))
                    if len(tail) > _MAX_FIELD:
                        raise InputError(
                            "a line is far longer than a row of a table; is this a CSV file?", file=self._path
                        )
                except CutOffError as error:
                    cut = error
            data = block if self.read else block.removeprefix(b"\xef\xbb\xbf")
            self.read += len(block)
            lines = list(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="\n"))
            while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= self.start:
                self._blocks.popleft()
            self._blocks.append((number, lines))
            number += len(lines)
            yield lines
        if cut:
            raise cut


def _broken(broken: tuple[int, str], last: int) -> CsvRow:
    first, error = broken
    lines = f"line {first} is" if last <= first else f"lines {first} to {last} are"
    return CsvRow(
        first, Refusal("bad_csv", f"{lines} no CSV record ({error}); is a quote missing, or the file cut off?")
    )


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
