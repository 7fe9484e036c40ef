"""A student behind a loopback server: asked as in training, judged as where its weights are loaded, asked once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distill_parts import filmed, steps
from servers.teacher import TeacherServer
from tenstep.__main__ import main
from tenstep.curation.clients.images import encode
from tenstep.curation.served import models_of
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill import prompt as prompts
from tenstep.distill.publish.merge_card import MergedCard, weights_sha256

STUDIES = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return filmed(tmp_path_factory.mktemp("served"), STUDIES)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged student's folder; its weights are never opened, since a server answers for them."""
    folder = tmp_path_factory.mktemp("merged")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / prompts.FILE).write_bytes(prompts.path_of("ten-steps").read_bytes())
    named = dict.fromkeys(("base_sha256", "adapter_sha256", "recipe_sha256"), "0" * 64)
    MergedCard(
        name="pupil",
        base="models/base",
        model_type="qwen3_vl",
        precision="fp16",
        weights_sha256=weights_sha256(folder),
        max_new_tokens=300,
        rows=1,
        equal=1,
        agreement=1.0,
        sources=(),
        restricted=False,
        **named,
    ).write(folder)
    return folder


@pytest.fixture
def server(store: StudyStore) -> Iterator[TeacherServer]:
    """Answers each film with the ten steps and the report of its study."""
    answers = {}
    for study in store:
        (image,) = study.images
        answers[encode(store.path_of(image), image, 8000).data_uri] = f"{steps(study)}\n\n{study.report}"

    def write(body: dict[str, Any]) -> str:
        return answers.get(body["messages"][-1]["content"][0]["image_url"]["url"], "good morning")

    with TeacherServer(write=write) as running:
        yield running


def questions(server: TeacherServer) -> list[dict[str, Any]]:
    """Requests that carried a prompt; the trial carries none."""
    asked = prompts.ten_steps("four-header").text
    return [one.body for one in server.seen if one.body["messages"][-1]["content"][-1]["text"] == asked]


def sample(student: Path, store: StudyStore, server: TeacherServer, out: Path, *more: str) -> int:
    words = ["sample", str(student), "--studies", str(store.root), "--out", str(out), "--server", f"{server.url}/v1"]
    return main([*words, *more])


def test_a_served_student_is_asked_as_in_training_and_judged_as_any(
    student: Path, store: StudyStore, server: TeacherServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(student, store, server, tmp_path / "run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["samples"], told["sampled"], told["well_formed"], told["accepted"]) == (STUDIES,) * 4
    assert told["temperatures"]["0.0"]["coverage"]["value"] == 1
    asked = questions(server)
    assert len(asked) == STUDIES
    for body in asked:
        (message,) = body["messages"]  # no system turn, and nothing before the image
        assert (message["role"], [part["type"] for part in message["content"]]) == ("user", ["image_url", "text"])
        assert (body["model"], body["max_tokens"], body["temperature"]) == ("test-model", 300, 0.0)
        assert {"seed", "repetition_penalty", "response_format", "structured_outputs"}.isdisjoint(body)
    with RunFolder.read(tmp_path / "run") as run:
        (one, *_) = (candidate for candidate, _ in run.judged())
        assert run.manifest.policy is not None and run.manifest.policy.endpoints[0].local
    assert (one.author, one.model, one.prompt_id) == ("student", "models/base+000000000000 (fp16)", "ten-steps@1")
    assert one.prompt_sha256 == prompts.ten_steps("four-header").sha256 and one.cost_usd == 0.0


def test_what_was_answered_is_not_asked_again(
    student: Path, store: StudyStore, server: TeacherServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail("ok", "ok", "cut")  # the trial and one answer come, the next one is lost
    assert sample(student, store, server, tmp_path / "run", "--batch", "1", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["samples"], first["sampled"]) == (STUDIES - 1, STUDIES - 1)
    before = len(questions(server))
    assert sample(student, store, server, tmp_path / "run", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["samples"], again["sampled"]) == (STUDIES - 1, 0)
    assert len(questions(server)) == before  # a lost answer may have been paid for


def test_every_answer_has_its_own_seed_and_the_settings_go_along(
    student: Path, store: StudyStore, server: TeacherServer, tmp_path: Path
) -> None:
    more = ("--temperature", "0", "0.7", "--n", "2", "--seed", "5", "--limit", "1", "--repetition-penalty", "1.05")
    assert sample(student, store, server, tmp_path / "run", *more) == 0
    sent = sorted(((body["temperature"], body.get("seed")) for body in questions(server)), key=str)
    assert sent == [(0.0, None), (0.0, None), (0.7, 7), (0.7, 8)]
    assert {body["repetition_penalty"] for body in questions(server)} == {1.05}


def test_a_report_alone_is_requested_and_judged_without_the_rules_about_steps(
    student: Path, store: StudyStore, server: TeacherServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.write = lambda body: next(iter(store)).report
    assert sample(student, store, server, tmp_path / "run", "--prompt", "report-only", "--limit", "1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["samples"], told["well_formed"], told["accepted"]) == (1, 1, 1)
    assert (tmp_path / "run" / "accepted.jsonl").read_text() == ""  # it is no example of ten steps
    assert len((tmp_path / "run" / "samples.jsonl").read_text().splitlines()) == 1
    with RunFolder.read(tmp_path / "run") as run:
        assert list(run.accepted()) == [] and run.manifest.counts["accepted"] == 1


def test_the_text_is_judged_as_it_came(
    student: Path, store: StudyStore, server: TeacherServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write = server.write
    server.write = lambda body: f"```\n{write(body)}\n```"
    assert sample(student, store, server, tmp_path / "run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["accepted"] == 0  # a teacher's fence would be taken off


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--served-model", "other"), "there is no such model or address"),
        (("--temperature", "hot"), "'hot' is not a number"),
        (("--repetition-penalty", "0.5"), "'0.5' is not a penalty from 1 to 10"),
        (("--prompt", "haiku"), "there is no prompt 'haiku'"),
    ],
)
def test_bad_input_is_one_line(
    more: tuple[str, ...],
    message: str,
    student: Path,
    store: StudyStore,
    server: TeacherServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.models = ("test-model",)
    assert sample(student, store, server, tmp_path / "run", *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_server_with_several_models_is_asked_for_none_of_them_by_chance(
    student: Path, store: StudyStore, server: TeacherServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.models = ("one", "other")
    assert models_of(f"{server.url}/v1") == ["one", "other"]
    assert sample(student, store, server, tmp_path / "run") == 2
    assert "the server has one, other; say which" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_server_that_is_not_there_is_one_line(
    student: Path, store: StudyStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", str(student), "--studies", str(store.root), "--out", str(tmp_path / "run")]
    assert main([*words, "--server", "http://127.0.0.1:9/v1"]) == 2
    assert "cannot be reached" in capsys.readouterr().err
    assert main([*words, "--served-model", "m"]) == 2
    assert "name it with --server" in capsys.readouterr().err
    for more, message in (
        (("--server", "ftp://x"), "field 'server': 'ftp://x' must be http"),
        (("--server", "ftp://x", "--served-model", "m"), "field 'server': ftp://x: must be http"),
        (("--server", "http://[", "--served-model", "m"), "field 'server': http://[: must be http"),
        (("--server", "http://[::1", "--served-model", "m"), "must be http"),
        (("--server", *["http://127.0.0.1:9/v1"] * 2, "--served-model", "m"), "names a server twice"),
        (
            ("--server", "http://127.0.0.1:9/v1", "--served-model", "m", "--key-env", "sk-1"),
            "field 'key-env': must match",
        ),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "journal.db").exists()


def test_restricted_data_goes_to_no_server_without_an_attestation(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = filmed(tmp_path, 1, data_class="restricted")
    words = ["sample", str(student), "--studies", str(store.root), "--out", str(tmp_path / "run")]
    assert main([*words, "--server", "https://gpu.example.org/v1", "--served-model", "m"]) == 2
    assert "restricted data may not go to" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
