"""CSV files in parts: any cut gives the rows that the whole file gives."""

import csv
import gzip
import io
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.data.intake.reports import Refusal
from tenstep.data.intake.table import csv_parts, read_csv, read_part
from tenstep.schemas.errors import InputError

cells = st.text(st.sampled_from('a,"\n\r é;\x0c\u2028'), max_size=12)
rows = st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), cells, cells), max_size=25)


def table(path: Path, records: Sequence[Sequence[str]], end: str = "\n") -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("id", "b", "c"), *records])
    path.write_bytes(text.getvalue().encode("utf-8-sig"))
    return path


def first(row: Sequence[str]) -> str:
    return row[0]


@settings(deadline=None)
@given(rows, st.integers(1, 300), st.sampled_from(["\n", "\r\n"]), st.sampled_from([None, first]))
def test_any_cut_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str, str]],
    size: int,
    end: str,
    same: Callable[[Sequence[str]], str] | None,
) -> None:
    path = table(tmp_path_factory.getbasetemp() / "law.csv", records, end)
    parts = list(csv_parts(path, ("id",), same, size))
    whole = list(read_csv(path, ("id",)))
    assert [line for part in parts for line in read_part(part)] == whole
    assert [line.cells for line in whole] == [dict(zip(["id", "b", "c"], record, strict=True)) for record in records]
    ids = [[line.cells["id"] for line in read_part(part) if isinstance(line.cells, dict)] for part in parts]
    if same is not None:
        assert all(left[-1] != right[0] for left, right in itertools.pairwise(ids))


def test_only_columns_that_are_wanted_are_kept(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [("1", "x", "y")])
    (part,) = csv_parts(path, ("id",))
    (line,) = read_part(part, ("c", "id"))
    assert line.cells == {"id": "1", "c": "y"}
    (line,) = read_csv(path, ("id",), ("b",))
    assert line.cells == {"b": "x"}


def test_a_gz_is_read_and_a_bomb_is_not(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"id,b\n1,x\n"))
    assert [line.cells for line in read_csv(path, ("id",))] == [{"id": "1", "b": "x"}]
    path.write_bytes(gzip.compress(b"id,b\n1," + b"\0" * 40_000_000))  # 40 kB that unpack to one line of 40 MB
    with pytest.raises(InputError, match="far larger than a table"):
        list(read_csv(path, ("id",)))


def test_a_file_that_became_shorter_is_named(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [("1", "x", "y")] * 9)
    (part,) = csv_parts(path, ("id",))
    path.write_bytes(b"id,b,c\n")
    with pytest.raises(InputError, match="became shorter"):
        list(read_part(part))


def test_a_stray_quote_does_not_shift_all_that_follows(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [(str(n), "text, with\nlines", "y") for n in range(300)])
    data = path.read_bytes()
    at = data.index(b'\n"40",') + 1
    path.write_bytes(data[:at] + b'"' + data[at:])
    found = [line.cells for part in csv_parts(path, ("id",), size=2000) for line in read_part(part)]
    good = [cells for cells in found if not isinstance(cells, Refusal)]
    assert len(good) > 250
    assert all(cells["c"] == "y" for cells in good if cells["id"].isdigit())


def test_a_report_of_megabytes_does_not_end_the_reading(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [("1", "x" * 5_000_000, "y"), ("2", "x", "y")])
    found = [line.cells for part in csv_parts(path, ("id",), size=100_000) for line in read_part(part)]
    assert [cells["id"] for cells in found if not isinstance(cells, Refusal)] == ["1", "2"]
