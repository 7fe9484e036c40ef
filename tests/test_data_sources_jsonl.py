"""JSON Lines: what a line may say, and what is said of a line that cannot be used."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tenstep.data.source import Row, SourceOptions, SourceTrace, SourceWarning, load
from tenstep.schemas.errors import InputError
from tenstep.schemas.layout import write
from tenstep.schemas.study import RejectedRow, Study

read = load("jsonl").read

TEXT = SourceOptions(text_only=True)
REPORT = "Findings: Clear.\nImpression: Normal."


def lines(path: Path, *rows: dict[str, Any] | bytes) -> Path:
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    return path


def studies(rows: Iterable[Row]) -> list[Study]:
    return [row for row in rows if isinstance(row, Study)]


def rejected(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return [(row.row, row.reason) for row in rows if isinstance(row, RejectedRow)]


def test_a_line_is_a_study(tmp_path: Path, png: bytes) -> None:
    (tmp_path / "a.png").write_bytes(png)
    row = {
        "id": 7,
        "report": REPORT,
        "images": ["a.png"],
        "views": ["PA"],
        "patient_id": "p1",
        "has_prior": True,
        "labels": {"effusion": "absent"},
        "split": "test",
    }
    (study,) = read(lines(tmp_path / "a.jsonl", row), SourceOptions(data_class="public"))
    assert isinstance(study, Study)
    assert (study.id, study.patient_id, study.split) == ("jsonl/7", "jsonl/p1", "test")
    assert (study.report, study.report_form, study.data_class) == (REPORT, "verbatim", "public")
    assert [(ref.path, ref.view) for ref in study.images] == [(str(tmp_path / "a.png"), "PA")]
    assert (study.views, study.has_prior, study.labels) == (("PA",), True, {"effusion": "absent"})


def test_images_may_lie_elsewhere(tmp_path: Path, png: bytes) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(png)
    path = lines(tmp_path / "a.jsonl", {"id": "1", "report": REPORT, "images": "a.png", "views": ["PA", "lateral"]})
    (study,) = studies(read(path, SourceOptions(images=tmp_path / "images")))
    assert (study.images[0].view, study.views) == ("unknown", ("PA", "lateral"))
    assert rejected(read(path, SourceOptions())) == [("a.jsonl row 1 (1)", "missing_file")]


def test_steps_are_kept_for_the_audit(tmp_path: Path) -> None:
    text = write([f"Step {n}." for n in range(10)], REPORT)
    path = lines(
        tmp_path / "a.jsonl",
        {"id": "1", "text": text},
        {"id": "2", "text": "1. Only this.", "reference_report": REPORT},
        {"id": "3", "text": REPORT},
    )
    rows = list(read(path, TEXT))
    assert [study.report for study in studies(rows)] == [REPORT] * 3
    assert [(row.id, row.text) for row in rows if isinstance(row, SourceTrace)] == [
        ("jsonl/1", text),
        ("jsonl/2", "1. Only this."),
    ]


def test_an_unknown_key_is_said_once(tmp_path: Path) -> None:
    row = {"id": "1", "report": REPORT, "colour": 1}
    rows = list(read(lines(tmp_path / "a.jsonl", row, row | {"id": "2"}), TEXT))
    assert [(row.code, row.detail) for row in rows if isinstance(row, SourceWarning)] == [
        ("unknown_key", "a.jsonl row 1: 'colour' is not read")
    ]


def test_a_byte_order_mark_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + json.dumps({"id": "1", "report": REPORT}).encode(), b"", b"  ")
    assert [study.id for study in read(path, TEXT) if isinstance(study, Study)] == ["jsonl/1"]


def test_a_mark_inside_a_cell_is_no_part_of_the_report(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"id": "1", "report": f"\ufeff{REPORT}"})
    assert [study.report for study in read(path, TEXT) if isinstance(study, Study)] == [REPORT]


BAD = [
    (b"{", "bad_json"),
    (b"[1]", "bad_json"),
    (b"[" * 100_000, "bad_json"),
    (b'{"id": ' + b"9" * 5000 + b"}", "bad_json"),
    (b'{"id": "1", "report": "half \\ud800"}', "bad_json"),
    (b'{"id": "\xff"}', "bad_encoding"),
    (b'{"id": "1", "report": "' + b"a" * 10_000_000 + b'"}', "long_line"),
    ({"report": REPORT}, "no_id"),
    ({"id": None, "report": REPORT}, "no_id"),
    ({"id": " ", "report": REPORT}, "no_id"),
    ({"id": "a\nb", "report": REPORT}, "bad_id"),
    ({"id": "1"}, "no_report"),
    ({"id": "1", "reference_report": REPORT}, "no_report"),
    ({"id": "1", "report": REPORT, "text": REPORT}, "bad_field"),
    ({"id": "1", "report": 5}, "bad_field"),
    ({"id": "1", "report": REPORT, "labels": {"effusion": "maybe"}}, "bad_field"),
    ({"id": "1", "report": REPORT, "has_prior": "yes"}, "bad_field"),
    ({"id": "1", "report": " "}, "empty_report"),
    ({"id": "1", "text": REPORT, "reference_report": ""}, "empty_report"),
    ({"id": "1", "report": "a" * 100_001}, "long_report"),
    ({"id": "1", "report": "clear\u0000"}, "bad_characters"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_bad_line_is_named_and_the_rest_goes_on(tmp_path: Path, bad: dict[str, Any] | bytes, reason: str) -> None:
    good = {"id": "good", "report": REPORT}
    rows = list(read(lines(tmp_path / "a.jsonl", good, bad, good | {"id": "too"}), TEXT))
    assert [study.id for study in studies(rows)] == ["jsonl/good", "jsonl/too"]
    ((row, found),) = rejected(rows)
    assert row.startswith("a.jsonl row 2")
    assert found == reason


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([], "no_image"),
        (["absent.png"], "missing_file"),
        (["http://127.0.0.1/a.png"], "missing_file"),
        (["/etc/passwd"], "outside_folder"),
        (["../a.png"], "outside_folder"),
        (["a\u0000.png"], "missing_file"),
        (["a.jsonl"], "not_an_image"),
        ([5], "bad_field"),
    ],
)
def test_an_image_that_cannot_be_used_rejects_its_study(tmp_path: Path, images: list[Any], reason: str) -> None:
    path = lines(tmp_path / "a.jsonl", {"id": "1", "report": REPORT, "images": images})
    assert [found for _, found in rejected(read(path, SourceOptions()))] == [reason]


def test_what_is_no_file_of_lines_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    for path, message in (
        (tmp_path / "absent.jsonl", "no such file"),
        (tmp_path, "not a file"),
        (tmp_path / "empty.jsonl", "the file is empty"),
    ):
        with pytest.raises(InputError, match=message):
            list(read(path, TEXT))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["id", "report", "text", "reference_report", "images", "views", "labels", "split", "other"])


@example(b"\xef\xbb\xbf")
@given(st.dictionaries(fields, json_values).map(lambda row: json.dumps(row).encode()) | st.binary(max_size=40))
def test_no_line_does_worse_than_a_reason(tmp_path_factory: pytest.TempPathFactory, line: bytes) -> None:
    rows = list(read(lines(tmp_path_factory.getbasetemp() / "any.jsonl", line.replace(b"\n", b" ")), TEXT))
    there = bool(line.removeprefix(b"\xef\xbb\xbf").strip())  # a mark of the byte order is no line
    assert len([row for row in rows if isinstance(row, Study | RejectedRow)]) == there
    assert all(row.model_dump_json() for row in rows)
