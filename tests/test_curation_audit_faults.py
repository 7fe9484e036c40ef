"""What a dataset was born with: empty cells as words, unknown views, films that show nothing, ids in two spellings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tenstep.__main__ import main
from tenstep.curation.audit import audit
from tenstep.data.demo.phantom import phantom
from tenstep.validators.rule import REFERENCE, ten


def dataset(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps({"id": f"r{at}"} | row) + "\n" for at, row in enumerate(rows)), encoding="utf-8")
    return path


def codes(path: Path) -> list[list[str]]:
    with audit(path) as found:
        return [[finding["code"] for finding in row["findings"]] for row in found.rows]


@pytest.mark.parametrize(
    ("report", "found"),
    [
        ("nan", ["report_is_empty"]),
        ("None", ["report_is_empty"]),
        (REFERENCE.replace("PA", "nan"), ["report_is_empty"]),
        (REFERENCE.replace("View: PA", "View: unknown").replace("Single frontal r", "R"), []),
        (
            REFERENCE.replace("View: PA", "View: unknown").replace("Single frontal", "PORTABLE AP"),
            ["view_left_unknown"],
        ),
        (REFERENCE, []),
    ],
)
def test_what_tables_leave_in_reports_is_found(report: str, found: list[str], tmp_path: Path) -> None:
    (row,) = codes(dataset(tmp_path / "t.jsonl", {"text": ten(report=report)}))
    assert [code for code in row if code in ("report_is_empty", "view_left_unknown")] == found


def test_a_reference_of_nan_is_no_reference(tmp_path: Path) -> None:
    with audit(dataset(tmp_path / "t.jsonl", {"text": ten(), "reference_report": "nan"})) as found:
        assert (found.totals.accepted, found.totals.without_reference) == (1, 1)


def test_patients_and_studies_written_in_two_ways_are_in_two_splits(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": ten(), "patient_id": "1000.0", "split": "train"},
        {"id": "\ufeffa ", "text": ten(), "patient_id": "1000", "split": "test"},
    ]
    with audit(dataset(tmp_path / "t.jsonl", *rows)) as found:
        splits = found.summary()["splits"]
    assert (splits["patients_in_two"]["count"], splits["studies_in_two"]["count"], splits["patients"]) == (1, 1, 1)


def test_films_are_checked_where_that_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.zeros((300, 300), np.uint8)).save(tmp_path / "black.png")
    phantom(3, size=256)[0].save(tmp_path / "good.png")
    rows = [{"text": ten(), "image": name} for name in ("good.png", "black.png", "absent.png", "../x.png")]
    path = dataset(tmp_path / "t.jsonl", *rows)
    assert codes(path) == [[], [], [], []]
    assert main(["audit", str(path), "--images", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    found = [[finding["code"] for finding in item["findings"]] for item in items]
    assert found[0] == [] and found[1] == ["image_blank_image"] and found[2] == ["image_missing_file"]
    assert found[3] == ["image_outside_folder"]


def test_rows_that_nothing_can_be_held_against_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = dataset(tmp_path / "t.jsonl", {"cot": "The heart is normal. The lungs are clear."})
    assert main(["audit", str(path), "--steps", "any"]) == 0
    assert "neither a reference_report nor a report of their own" in " ".join(capsys.readouterr().out.split())
