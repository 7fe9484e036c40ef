"""CSV files: every record as it was written, and a broken one costs itself alone."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.data.formats.table import in_parts, read_csv
from tenstep.data.intake.reports import Refusal
from tenstep.schemas.errors import InputError

cells = st.text(st.sampled_from('a,"\n\r é;\x0c\u2028'), max_size=12)
rows = st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), cells, cells), max_size=25)


def table(path: Path, records: Sequence[Sequence[str]], end: str = "\n") -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("id", "b", "c"), *records])
    path.write_bytes(text.getvalue().encode("utf-8-sig"))
    return path


@settings(deadline=None)
@given(rows, st.sampled_from(["\n", "\r\n"]))
def test_rows_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str, str]], end: str
) -> None:
    path = table(tmp_path_factory.getbasetemp() / "law.csv", records, end)
    whole = list(read_csv(path, ("id",)))
    assert [line.cells for line in whole] == [dict(zip(["id", "b", "c"], record, strict=True)) for record in records]
    assert [line for part in in_parts(whole, 20) for line in part] == whole


def test_only_columns_that_are_wanted_are_kept(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [("1", "x", "y")])
    (line,) = read_csv(path, ("id",), ("c", "id"))
    assert line.cells == {"id": "1", "c": "y"}
    (line,) = read_csv(path, ("id",), ("b",))
    assert line.cells == {"b": "x"}


def test_a_gz_is_read_and_a_bomb_is_not(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"id,b\n1,x\n"))
    assert [line.cells for line in read_csv(path, ("id",))] == [{"id": "1", "b": "x"}]
    path.write_bytes(gzip.compress(b"id,b\n1," + b"\0" * 40_000_000))  # 40 kB that unpack to one line of 40 MB
    with pytest.raises(InputError, match="far longer than a row of a table"):
        list(read_csv(path, ("id",)))


def test_a_stray_quote_does_not_shift_all_that_follows(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [(str(n), "text, with\nlines", "y") for n in range(300)])
    data = path.read_bytes()
    at = data.index(b'\n"40",') + 1
    path.write_bytes(data[:at] + b'"' + data[at:])
    found = [line.cells for line in read_csv(path, ("id",))]
    good = [cells for cells in found if not isinstance(cells, Refusal)]
    assert len(good) == 299
    assert sum(isinstance(cells, Refusal) for cells in found) == 1
    assert all(cells["c"] == "y" for cells in good if cells["id"].isdigit())


def test_a_report_of_megabytes_does_not_end_the_reading(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [("1", "x" * 5_000_000, "y"), ("2", "x", "y")])
    found = [line.cells for line in read_csv(path, ("id",))]
    assert [cells["id"] for cells in found if not isinstance(cells, Refusal)] == ["1", "2"]
