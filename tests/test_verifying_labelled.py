"""The labelled set for calibrating a verifier: its form, its balance, and that it describes no patient."""

import gzip
import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tenstep.curation.verifying.labelled import labelled_set
from tenstep.data.intake.deidentify import without_age_and_sex

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in files("tenstep.curation.verifying").joinpath("labelled.jsonl").read_text("utf-8").splitlines()
]
FAMILIES = {
    "laterality",
    "place",
    "asserts-denied",
    "denies-asserted",
    "hallucinated",
    "device",
    "measurement",
    "severity",
    "cause",
    "count",
    "certainty",
    "prior",
    "leak",
    "coverage",
}


def name(row: dict[str, Any]) -> str:
    """The study of a row: `fiction-001-good` and `fiction-001-bad` are twins."""
    study, _, _ = str(row["id"]).rpartition("-")
    return study


@pytest.fixture(scope="module")
def twins() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    good = {name(row): row for row in ROWS if row["good"]}
    return {name(row): (good[name(row)], row) for row in ROWS if not row["good"]}


def test_a_hundred_good_and_a_hundred_bad_traces_over_a_hundred_reports() -> None:
    assert Counter(row["good"] for row in ROWS) == {True: 100, False: 100}
    assert len({row["id"] for row in ROWS}) == 200
    assert len({row["report"] for row in ROWS}) == 100


def test_every_row_has_the_same_fields_and_ten_steps_of_one_line() -> None:
    for row in ROWS:
        assert list(row) == ["id", "view", "report", "steps", "good", "family", "wrong_step", "note"], row["id"]
        assert len(row["steps"]) == 10, row["id"]
        assert all(step.strip() == step and step and "\n" not in step for step in row["steps"]), row["id"]
        assert len(set(row["steps"])) == 10, row["id"]


def test_every_report_has_the_four_headers_in_order() -> None:
    form = re.compile(r"Technique: (.+)\nView: (.+)\nFindings: (.+)\nImpression: (.+)")
    for row in ROWS:
        found = form.fullmatch(row["report"])
        assert found and found[2] == row["view"], row["id"]


def test_a_bad_trace_differs_from_its_good_twin_in_the_step_that_it_names(
    twins: dict[str, tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    assert len(twins) == 100
    for good, bad in twins.values():
        assert (good["view"], good["report"]) == (bad["view"], bad["report"])
        changed = [i for i, (a, b) in enumerate(zip(good["steps"], bad["steps"], strict=True), 1) if a != b]
        if bad["family"] == "coverage":
            assert changed and bad["wrong_step"] is None, bad["id"]
        else:
            assert changed == [bad["wrong_step"]], bad["id"]


def test_every_family_of_faults_is_covered_about_evenly() -> None:
    counts = Counter(row["family"] for row in ROWS if not row["good"])
    assert set(counts) == FAMILIES
    assert max(counts.values()) - min(counts.values()) <= 1
    assert all((row["family"], row["wrong_step"]) == (None, None) for row in ROWS if row["good"])
    assert all(row["note"].endswith(".") for row in ROWS)


def test_no_row_holds_identifying_details() -> None:
    for row in ROWS:
        text = "\n".join([row["report"], *row["steps"]])
        assert without_age_and_sex(text) == text, row["id"]
        assert not re.search(r"\b(?:19|20)\d\d\b|\bDr\b|_{3}|\[", text), row["id"]


def test_a_set_with_a_mark_and_gzipped_is_the_same_set(tmp_path: Path) -> None:
    text = "".join(json.dumps(row | {"report": "Clear\u2028lungs."}, ensure_ascii=False) + "\n" for row in ROWS[:4])
    (tmp_path / "plain.jsonl").write_text(text, "utf-8")
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(f"\ufeff{text}".encode()))
    plain, packed = (labelled_set(str(tmp_path / name)) for name in ("plain.jsonl", "packed.jsonl.gz"))
    assert (plain.sha256, plain.traces) == (packed.sha256, packed.traces)
    assert len(plain.traces) == 4
