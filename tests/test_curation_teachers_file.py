"""The `file` teacher: questions go out in a file, answers come back in one, and what is wrong with them is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, make_store
from tenstep.__main__ import main
from tenstep.data.run import RunFolder
from tenstep.schemas.study import Study
from tenstep.validators.rule import Case

STEPS = {f"step_{at:02}": line.split(". ", 1)[1] for at, line in enumerate(GOOD.split("\n"), 1)}
NINE = "\n".join(GOOD.split("\n")[:9])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    studies = (Case("").study.model_copy(update={"id": f"t/{key}", "patient_id": key}) for key in "ab")
    make_store(tmp_path / "studies", (Study.model_validate(s.model_dump()) for s in studies))
    return tmp_path


def curate(folder: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    recipe = {"kind": "curate", "name": "t", "teachers": [{"kind": "file", "options": options}]}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / "run")]
    code = main([*words, "--json", str(folder / "out.json")])
    return code, json.loads((folder / "out.json").read_text())


def handover(folder: Path) -> Path:
    return folder / "run" / "handover" / "file"


def questions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (handover(folder) / "questions.jsonl").read_text().splitlines()]


def answer(folder: Path, *rows: dict[str, Any]) -> None:
    (handover(folder) / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_first_call_asks_in_a_file_and_the_second_reads_the_answers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = curate(folder)
    assert (code, found["accepted"], found["waiting"], found["asked"]) == (0, 0, 2, 0)
    assert "2 questions wait; put their answers into answers.jsonl" in capsys.readouterr().out
    assert main(["status", str(folder / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["states"] == {"waiting": 2}
    asked = questions(folder)
    assert {"id", "system", "prompt", "images", "schema"} == set(asked[0])
    assert json.loads(asked[0]["prompt"])["reference_report"].startswith("Technique:")
    assert asked[0]["schema"]["required"] == list(STEPS)
    answer(folder, *({"id": q["id"], "text": json.dumps(STEPS), "model": "ward-7"} for q in asked))
    code, found = curate(folder)
    assert (code, found["accepted"], found["waiting"], found["spend_usd"]) == (0, 2, 0, None)
    with RunFolder.read(folder / "run") as run:
        assert {candidate.model for candidate, _ in run.judged()} == {"ward-7"}
    assert questions(folder) == []


def test_a_repair_is_a_new_question_and_old_answers_are_left_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(folder)
    first = questions(folder)
    answer(folder, {"id": first[0]["id"], "text": NINE}, {"id": first[1]["id"], "text": STEPS})
    _, found = curate(folder)
    assert (found["accepted"], found["rejected"], found["waiting"]) == (1, 1, 1)
    (repair,) = questions(folder)
    assert "to_change" in repair["prompt"]
    answer(folder, {"id": first[0]["id"], "text": NINE}, {"id": repair["id"], "text": GOOD})
    capsys.readouterr()
    _, found = curate(folder)
    assert (found["accepted"], found["repaired"]) == (2, 1)
    said = capsys.readouterr().out
    assert "1 answer read" in said and f"1 answer ({first[0]['id'][:12]}…) to questions answered before" in said


def test_a_missing_answer_waits_and_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curate(folder)
    first = questions(folder)
    answer(folder, {"id": first[0]["id"], "text": GOOD})
    capsys.readouterr()
    _, found = curate(folder)
    assert (found["accepted"], found["waiting"]) == (1, 1)
    said = capsys.readouterr().out
    assert f"({first[1]['id'][:12]}…) missing to the last questions" in said
    assert [q["id"] for q in questions(folder)] == [first[1]["id"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "row 1: is not one JSON object"),
        (['{"id": "ID"}'], "field 'text': is missing"),
        (['{"id": "ID", "text": "a"}', "", '{"id": "ID", "text": "b"}'], "again, after row 1; keep one of the two"),
        (['{"id": "f00", "text": "a"}'], "'f00…', which this run never asked: is it another run's file?"),
        (['{"id": "ID", "text": "a", "model": "x"}', '{"id": "OTHER", "text": "b", "model": "y"}'], "several models"),
    ],
)
def test_an_answers_file_that_cannot_be_right_is_refused_before_anything_is_read(
    folder: Path, rows: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(folder)
    one, other = (q["id"] for q in questions(folder))
    text = "\n".join(rows).replace("ID", one).replace("OTHER", other)
    (handover(folder) / "answers.jsonl").write_text(text)
    code, found = curate(folder)
    assert code == 2 and message in found["error"]["message"] + capsys.readouterr().err
    with RunFolder.read(folder / "run") as run:
        assert list(run.judged()) == []
    (handover(folder) / "answers.jsonl").unlink()
    assert curate(folder)[1]["waiting"] == 2


def test_an_answer_by_another_model_than_the_recipes_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(folder, model="one")
    answer(folder, *({"id": q["id"], "text": GOOD, "model": "two"} for q in questions(folder)))
    code, _ = curate(folder, model="one")
    assert code == 2 and "is by 'two', and the recipe names 'one'" in capsys.readouterr().err


def test_answers_that_say_what_they_cost_are_paid_for_and_an_unknown_price_is_no_bound(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(folder)
    answer(folder, *({"id": q["id"], "text": GOOD, "cost_usd": 0.25} for q in questions(folder)))
    assert curate(folder)[1]["spend_usd"] == 0.5
    recipe = json.loads((folder / "recipe.yaml").read_text()) | {"budget": {"usd": 5}}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    words = [str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / "other")]
    assert main(["curate", *words]) == 2
    assert "is unknown, so dollars cannot be a bound" in capsys.readouterr().err


def test_restricted_questions_are_their_owners_and_leave_only_with_an_attestation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Study.model_validate(Case("").study.model_dump() | {"id": "t/a", "data_class": "restricted"})
    make_store(tmp_path / "studies", [study])
    assert curate(tmp_path)[0] == 0
    assert (handover(tmp_path) / "questions.jsonl").stat().st_mode & 0o077 == 0
    (tmp_path / "run").rename(tmp_path / "earlier")
    code, _ = curate(tmp_path, endpoint="https://queue.example")
    assert code == 2 and "restricted data may not go to https://queue.example" in capsys.readouterr().err


def test_an_answer_to_a_question_that_is_asked_no_more_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(folder)
    first = questions(folder)
    answer(folder, {"id": first[0]["id"], "text": GOOD}, {"id": first[1]["id"], "text": GOOD})
    recipe = json.loads((folder / "recipe.yaml").read_text()) | {"limit": 1}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    capsys.readouterr()
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / "run")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"1 answer ({first[1]['id'][:12]}…) to questions that this call did not ask" in said
    assert "1 of 2" in said  # studies
