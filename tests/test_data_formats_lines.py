"""Lines and arrays of JSON: one reader for every command, and what editors, hubs and PDFs do to such files."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.data.formats import packed
from tenstep.data.formats.json_array import array_objects, opens_array
from tenstep.data.formats.json_lines import LONGEST, id_lines, json_lines
from tenstep.data.intake.reports import Refusal
from tenstep.schemas.errors import InputError

ODD = "\u2028\u2029\x85\x0b\x0c\x1c"  # what str.splitlines takes for the end of a line, and JSON does not


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_ends_at_a_line_feed_and_nowhere_else(tmp_path: Path, pack: type, mark: bytes, end: bytes) -> None:
    rows = [{"id": "a", "text": f"one{ODD[:3]}line"}, {"id": "b"}]
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(pack(mark + end.join([*lines, b"", b"  "])))
    assert [(line.row, line.found) for line in json_lines(path)] == [(1, rows[0]), (2, rows[1])]


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text() | st.none() | st.integers()), max_size=5))
def test_objects_come_back_from_lines_and_arrays(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "law.json"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert [line.found for line in json_lines(path)] == rows
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8-sig")
    assert opens_array(path)
    assert [item.found for item in array_objects(path)] == rows


def test_nan_and_long_numbers_do_not_end_an_array(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"a": NaN}, {"b": %s}, {"c": "\xff"}, 7, {"d": 1}' % (b"9" * 40))
    found = [item.found for item in array_objects(path)]
    assert [one.reason if isinstance(one, Refusal) else next(iter(one)) for one in found] == [
        "a",
        "b",
        "bad_encoding",
        "bad_json",
        "d",
        "bad_json",
    ]


def test_a_key_that_stands_twice_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"id": "a", "text": "x", "text": "y"}\n{"id": "b", "m": [{"k": 1, "k": 2}]}\n{"id": "c"}\n')
    assert [line.problem for line in json_lines(path)] == [
        "the key 'text' stands twice",
        "the key 'k' stands twice",
        "",
    ]
    path.write_text(f"[{','.join(path.read_text().splitlines())}]")
    found = [item.found for item in array_objects(path)]
    assert found == [
        Refusal("bad_json", "the key 'text' stands twice"),
        Refusal("bad_json", "the key 'k' stands twice"),
        {"id": "c"},
    ]


def test_a_compressed_file_that_is_cut_off_gives_what_comes_before(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"id": "%d"}\n' % n for n in range(9)), 0)[:-60])
    *good, last = json_lines(path)
    assert [line.found for line in good] == [{"id": str(n)} for n in range(len(good))]
    assert good and "cut off" in last.problem and last.row == len(good) + 1


def test_a_line_that_is_too_long_is_named_and_not_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (3 * LONGEST) + b"\n" + b'{"id": 1}\n'))
    first, second = json_lines(path)
    assert "longer than" in first.problem and second.found == {"id": 1}


def test_ids_are_read_without_marks_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "test.ids"
    path.write_bytes("\ufeffopen-i/CXR1 \r\n\r\n# a note\r\n\topen-i/CXR2".encode())
    assert list(id_lines(path)) == ["open-i/CXR1", "open-i/CXR2"]
    path.write_bytes(b"\xff\n")
    with pytest.raises(InputError, match="not UTF-8"):
        list(id_lines(path))


def test_a_suffix_is_that_of_what_is_packed() -> None:
    assert [packed.suffix_of(Path(name)) for name in ("a.JSONL.GZ", "a.csv", "a.gz")] == [".jsonl", ".csv", ""]
