"""Readings that leave the review application and come back: forms, spreadsheets, other tools."""

import csv
import gzip
import json
import stat
from pathlib import Path

import pytest
from reviewing_parts import key_of, outcomes, reviewed_run, served
from tenstep.cli.app import main
from tenstep.data.files import hold
from tenstep.data.readings import Readings, finals
from tenstep.schemas.reading import Reading


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return reviewed_run(tmp_path)


def test_readings_go_out_in_every_form_and_come_back_once(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(run, "anna", "ben", more=("--min-seconds", "0", "--overlap", "1")) as server:
        anna, ben = server.enter("anna"), server.enter("ben")
        for number in range(6):
            decision = "reject" if number % 2 else "accept"
            server.decide(
                key_of(number), anna, decision=decision, code=["wrong_side"] if number % 2 else [], comment="=1+1"
            )
            server.decide(key_of(number), ben, decision="accept" if number == 5 else decision)
    for form in ("csv", "argilla", "label-studio", "labelled"):
        assert main(["reviews", str(run), "--to", form, "--out", str(tmp_path / form)]) == 0
        assert stat.S_IMODE((tmp_path / form).stat().st_mode) == 0o600
    rows = list(csv.DictReader((tmp_path / "csv").read_text().splitlines()))
    assert len(rows) == 12 and rows[0]["comment"] == "'=1+1", "a spreadsheet must not run a comment"
    for reader in ("anna", "ben"):
        assert main(["reviews", str(run), "--to", "ratings", "--reader", reader, "--out", str(tmp_path / reader)]) == 0
    assert main(["agreement", str(tmp_path / "anna"), str(tmp_path / "ben")]) == 0
    labelled = [json.loads(line) for line in (tmp_path / "labelled").read_text().splitlines()]
    assert [one["good"] for one in labelled] == [True, False, True, False, True], "the disputed one is left out"
    assert labelled[1]["family"] == "wrong_side" and len(labelled[1]["steps"]) == 10
    for form in ("csv", "argilla", "label-studio"):
        empty = reviewed_run(tmp_path / f"again-{form}")
        assert main(["reviews", str(empty), "--from", str(tmp_path / form)]) == 0
        given = {key: (found.decision, found.provenance) for key, found in finals(empty).items()}
        assert given == {key: (found.decision, found.provenance) for key, found in finals(run).items()}
        assert outcomes(empty) == outcomes(run)
        assert main(["reviews", str(empty), "--from", str(tmp_path / form)]) == 0
        with Readings(empty, writable=False) as stored:
            assert len(list(stored.all())) == 12, "what is there already is not added again"
    capsys.readouterr()


def test_decisions_about_another_run_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "foreign.csv"
    file.write_text(f"key,reader,decision\n{'e' * 64},anna,accept\n")
    assert main(["reviews", str(run), "--from", str(file)]) == 2
    assert "another run" in capsys.readouterr().err
    file.write_text(f"key,reader,decision\n{key_of(0)},anna,perhaps\n")
    assert main(["reviews", str(run), "--from", str(file)]) == 2
    assert "row 1" in capsys.readouterr().err
    assert finals(run) == {}


def test_decisions_of_a_spreadsheet_are_joined_however_it_wrote_them(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "by-hand.csv.gz"
    rows = f"key,reader,decision\r\n\u00a0{key_of(0).upper()}\u200b,anna ,Accept\r\n{key_of(1)},anna,reject\r\n"
    file.write_bytes(gzip.compress(("\ufeff" + rows).encode()))
    assert main(["reviews", str(run), "--from", str(file)]) == 0
    assert {key: found.readers for key, found in finals(run).items()} == {
        key_of(0): ("anna",),
        key_of(1): ("anna",),
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{key}", "reader"),
        ("{key},anna", "decision"),
        ("{key},\x1b[2Janna,accept,", "reader"),
        ("{key},a\u202eb,accept,", "reader"),
        ("{key}, ,accept,", "reader"),
        ("{key},anna,NaN,", "accept, reject or unsure"),
        ("{key},anna,reject,=cmd()", "no rule's code"),
        ("{key},anna,accept," + "x" * 140_000, "is no CSV"),
    ],
)
def test_a_row_that_no_reader_wrote_is_refused_and_nothing_is_added(
    row: str, said: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(f"key,reader,decision,codes\n{key_of(1)},anna,accept,\n{row.format(key=key_of(0))}\n")
    assert main(["reviews", str(run), "--from", str(file)]) == 2
    assert said in capsys.readouterr().err
    assert finals(run) == {}


def test_an_annotation_that_was_skipped_there_is_no_decision(run: Path, tmp_path: Path) -> None:
    def annotation(reader: str, *, skipped: bool) -> dict[str, object]:
        result = [{"from_name": "decision", "value": {"choices": ["accept"]}}]
        return {"completed_by": {"email": reader}, "was_cancelled": skipped, "lead_time": 1, "result": result}

    file = tmp_path / "tasks.json"
    both = [annotation("anna", skipped=True), annotation("ben", skipped=False)]
    file.write_text(json.dumps([{"data": {"key": key_of(0)}, "annotations": both}]))
    assert main(["reviews", str(run), "--from", str(file)]) == 0
    assert finals(run)[key_of(0)].readers == ("ben",)


def given(reader: str, decision: str, **more: object) -> Reading:
    return Reading.model_validate(
        {"key": key_of(0), "study_id": "t/0", "reader": reader, "decision": decision, "revision": 1, "queue": "work",
         "saw_findings": True, "seconds": 2.0, "at": 1.0} | more
    )  # fmt: skip


def test_an_adjudication_comes_back_as_one_and_changes_no_reading(run: Path, tmp_path: Path) -> None:
    with Readings(run, writable=True) as readings:
        for reading in (
            given("anna", "accept"), given("ben", "reject"), given("anna", "reject", kind="adjudication"),
        ):  # fmt: skip
            readings.append(reading)
    assert main(["reviews", str(run), "--to", "csv", "--out", str(tmp_path / "out.csv")]) == 0
    other = reviewed_run(tmp_path / "other")
    for folder in (run, other):
        assert main(["reviews", str(folder), "--from", str(tmp_path / "out.csv")]) == 0
        with Readings(folder, writable=False) as stored:
            found = [(reading.reader, reading.kind, reading.decision) for reading in stored.all()]
        assert found == [
            ("anna", "reading", "accept"),
            ("ben", "reading", "reject"),
            ("anna", "adjudication", "reject"),
        ]


def test_a_file_changes_only_what_it_says(run: Path, tmp_path: Path) -> None:
    steps = [{"step": 2, "mark": "wrong"}]
    kept = {"codes": ["wrong_side"], "steps": steps, "reference": "bad_report", "comment": "'=1 and 'tis so"}
    with Readings(run, writable=True) as readings:
        readings.append(given("anna", "reject", **kept))
    for form in ("csv", "argilla", "label-studio"):
        assert main(["reviews", str(run), "--to", form, "--out", str(tmp_path / form)]) == 0
        assert main(["reviews", str(run), "--from", str(tmp_path / form)]) == 0
    by_hand = tmp_path / "by-hand.csv"
    by_hand.write_text(f"key,reader,decision\n{key_of(0)},anna,reject\n")
    assert main(["reviews", str(run), "--from", str(by_hand)]) == 0
    with Readings(run, writable=False) as stored:
        assert len(list(stored.all())) == 1, "nothing in these files is new"
    by_hand.write_text(f"key,reader,decision,comment\n{key_of(0)},anna,reject,other\n")
    assert main(["reviews", str(run), "--from", str(by_hand)]) == 0
    with Readings(run, writable=False) as stored:
        (reading,) = stored.current()
    assert (reading.revision, reading.comment, reading.codes) == (2, "other", ("wrong_side",))
    assert (reading.reference, [step.step for step in reading.steps]) == ("bad_report", [2])
    other = reviewed_run(tmp_path / "other")
    assert main(["reviews", str(other), "--from", str(tmp_path / "csv")]) == 0
    with Readings(other, writable=False) as stored:
        (reading,) = stored.current()
    assert reading.model_dump(include=set(kept)) | {"steps": steps} == {**kept, "codes": ("wrong_side",)}
    assert [(step.step, step.mark) for step in reading.steps] == [(2, "wrong")]


def test_of_two_rows_of_one_reader_the_last_counts_however_often_they_come(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "twice.csv"
    file.write_text(f"key,reader,decision\n{key_of(0)},anna,accept\n{key_of(0)},anna,reject\n")
    for _ in range(2):
        assert main(["reviews", str(run), "--from", str(file)]) == 0
    with Readings(run, writable=False) as stored:
        assert [reading.decision for reading in stored.all()] == ["reject"]


def test_decisions_are_added_while_another_process_works_on_the_run(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text(f"key,reader,decision\n{key_of(0)},anna,accept\n")
    lock = hold(run / "run.lock", "working")
    assert main(["reviews", str(run), "--from", str(file), "--json", str(tmp_path / "out.json")]) == 0
    lock.release()
    assert json.loads((tmp_path / "out.json").read_text())["added"] == 1
    assert finals(run)[key_of(0)].decision == "accept"
