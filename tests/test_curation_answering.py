"""`tenstep answer`: the questions of a file teacher, asked of a loopback server that stands in for vLLM."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from curation_parts import GOOD, NINE, make_store
from servers.studies import make_image, make_study
from servers.teacher import TeacherServer
from tenstep.__main__ import main
from tenstep.data.files import hold
from tenstep.data.run import RunFolder
from tenstep.schemas.study import Study
from tenstep.validators.rule import Case

SCRIPT = Path(__file__).parent.parent / "examples" / "answer_vllm.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    studies = (Case("").study.model_copy(update={"id": f"t/{key}", "patient_id": key}) for key in "abc")
    make_store(tmp_path / "studies", (Study.model_validate(study.model_dump()) for study in studies))
    return tmp_path


def curate(folder: Path, **more: Any) -> dict[str, Any]:
    recipe = {"kind": "curate", "name": "t", "teachers": [{"kind": "file", "options": more}], "repair": {"attempts": 1}}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / "run")]
    assert main([*words, "--json", str(folder / "curated.json")]) == 0
    found: dict[str, Any] = json.loads((folder / "curated.json").read_text())
    return found


def answer(folder: Path, server: str, *more: str) -> tuple[int, dict[str, Any]]:
    out = folder / "answered.json"
    words = ["answer", str(folder / "run"), "--server", f"{server}/v1", "--model", "some/model", "--json", str(out)]
    return main([*words, *more]), json.loads(out.read_text())


def test_answers_are_judged_and_a_repair_is_a_second_pass(folder: Path) -> None:
    """The first answer of the server has nine steps; the journal, the rules and the repair are curate's."""
    texts = iter([NINE, GOOD, GOOD, GOOD])
    with TeacherServer(write=lambda body: next(texts)) as server:
        assert curate(folder)["waiting"] == 3
        code, found = answer(folder, server.url, "--concurrency", "1")
        assert (code, found["answered"], found["before"], found["failed"]) == (0, 3, 0, [])
        first = curate(folder)
        assert (first["accepted"], first["waiting"], first["spend_usd"]) == (2, 1, 0.0)
        code, found = answer(folder, server.url)
        assert (code, found["answered"]) == (0, 1)
        assert curate(folder)["accepted"] == 3
        assert len(server.seen) == 4
        assert server.seen[0].body["response_format"]["type"] == "json_schema"
    with RunFolder.read(folder / "run") as run:
        assert {candidate.model for candidate, _ in run.judged()} == {"some/model"}


def test_what_has_an_answer_is_not_asked_again_and_a_failure_is_named(folder: Path) -> None:
    curate(folder)
    with TeacherServer() as server:
        server.fail("429", "400")  # the first is asked again, the second is not
        code, found = answer(folder, server.url, "--concurrency", "1")
        assert (code, found["answered"], len(found["failed"])) == (2, 2, 1)
        assert "400" in found["failed"][0]["reason"]
        sent = len(server.seen)
        assert answer(folder, server.url)[1] | {"answers": ""} == {
            "answers": "",
            "answered": 1,
            "before": 2,
            "failed": [],
        }
        assert len(server.seen) == sent + 1
        assert answer(folder, server.url)[1]["answered"] == 0
    assert curate(folder)["waiting"] == 0


def test_a_kill_loses_no_answer_that_came(folder: Path) -> None:
    curate(folder)
    handover = folder / "run" / "handover" / "file"
    asked = [json.loads(line) for line in (handover / "questions.jsonl").read_text().splitlines()]
    came = json.dumps({"id": asked[0]["id"], "text": GOOD, "model": "some/model"})
    half = came[:40].encode() + "é".encode()[:1]  # the second one, cut off within a letter
    (handover / "answers.jsonl.unfinished").write_bytes(came.encode() + b"\n" + half)
    with TeacherServer(write=lambda body: GOOD) as server:
        assert answer(folder, server.url)[1]["answered"] == 2
        assert len(server.seen) == 2
    assert curate(folder)["accepted"] == 3


def test_a_second_process_waits_for_the_first_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both would ask, and pay for, the same questions, and one would replace what the other wrote."""
    curate(folder)
    with TeacherServer(write=lambda body: GOOD) as server:
        held = hold(folder / "run" / "handover" / "file" / "answer.lock", "answering")
        assert answer(folder, server.url)[0] == 2
        assert "another process is answering these questions" in capsys.readouterr().err
        assert not server.seen
        held.release()
        assert answer(folder, server.url)[1]["answered"] == 3


def test_what_somebody_else_wrote_into_the_answers_stays(folder: Path) -> None:
    curate(folder)
    answers = folder / "run" / "handover" / "file" / "answers.jsonl"
    answers.write_bytes(b"[not ours]")
    with TeacherServer(write=lambda body: GOOD) as server:
        assert answer(folder, server.url)[1]["answered"] == 3
    first, *rest = answers.read_bytes().splitlines()
    assert (first, len(rest)) == (b"[not ours]", 3)


def test_images_go_with_their_views(tmp_path: Path) -> None:
    make_store(tmp_path / "studies", [make_study("a", images=(make_image(tmp_path),))])
    curate(tmp_path)
    with TeacherServer() as server:
        assert answer(tmp_path, server.url)[0] == 0
        parts = server.seen[0].body["messages"][1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    assert parts[0]["text"].startswith("Image 1 of 1, view: ")


def test_a_server_elsewhere_must_be_the_recipes_endpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curate(folder)
    words = ["answer", str(folder / "run"), "--server", "https://elsewhere.example/v1", "--model", "m"]
    assert main(words) == 2
    assert "the recipe does not say that questions go there" in capsys.readouterr().err
    assert not (folder / "run" / "handover" / "file" / "answers.jsonl").exists()


def test_a_run_without_such_a_teacher_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curate(folder)
    words = ["answer", str(folder / "run"), "--server", "http://127.0.0.1:9/v1", "--model", "m", "--teacher", "other"]
    assert main(words) == 2
    assert "the recipe has: file" in capsys.readouterr().err


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("answer_vllm", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_the_vllm_script_writes_is_what_curate_reads(folder: Path, script: ModuleType) -> None:
    curate(folder)
    handover = folder / "run" / "handover" / "file"
    questions = script.left(handover)
    system, user = script.messages(questions[0])
    assert (system["content"][0]["text"], user["content"][-1]["text"]) == (
        questions[0]["system"],
        questions[0]["prompt"],
    )
    rows = [
        {"id": q["id"], "generated_text": GOOD, "num_input_tokens": 9, "num_generated_tokens": 5} for q in questions
    ]
    lines = [json.dumps(script.line(row, "some/model")) + "\n" for row in rows]
    (handover / "answers.jsonl").write_text("".join(lines[:2]))
    assert [question["id"] for question in script.left(handover)] == [questions[2]["id"]]
    (handover / "answers.jsonl").write_text("".join(lines))
    found = curate(folder)
    assert (found["accepted"], found["waiting"]) == (3, 0)
