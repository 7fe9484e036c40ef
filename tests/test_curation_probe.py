"""The probe: teachers whose nature is known are distinguished by how their steps move."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from servers.teacher import TeacherServer
from tenstep.__main__ import main
from tenstep.curation.probe_result import ARMS, claims_moved, mean_over_patients, words_moved
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import PolicyError
from tenstep.schemas.layout import parse
from tenstep.validators.rule import STEPS, ten

TRACE = parse(ten(report=None))
ILLS = ("a right pneumothorax", "a left pleural effusion", "cardiomegaly", "a nodule in the left lung")


def report(number: int) -> str:
    return (
        f"Findings: There is {ILLS[number % 4]}, seen on film {number}.\nImpression: {ILLS[number % 4].capitalize()}."
    )


def steps(claim: str) -> str:
    texts = {f"step_{n:02}": text.split(":")[0] + ": looked at." for n, text in enumerate(STEPS, 1)}
    return json.dumps(texts | {"step_05": f"Lungs: there is {claim}."})


def of_report(body: dict[str, Any]) -> str:
    """A teacher that explains the report, whatever the image shows."""
    data = json.loads(body["messages"][-1]["content"][-1]["text"])
    return steps(next(ill for ill in ILLS if ill in data["reference_report"]))


def of_image(body: dict[str, Any]) -> str:
    """A teacher that reads the image, whatever the report says."""
    image = next(part["image_url"]["url"] for part in body["messages"][-1]["content"] if part["type"] == "image_url")
    return steps(ILLS[sum(image.encode()) % 4])


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    with TeacherServer() as found:
        yield found


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="the extra with the SDKs is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


@pytest.fixture
def curated(tmp_path: Path, server: TeacherServer) -> Callable[[Callable[[dict[str, Any]], str]], Path]:
    """A run over twelve studies by a teacher of a known nature."""

    def make(write: Callable[[dict[str, Any]], str]) -> Path:
        server.write = write
        rows = []
        for number in range(12):
            Image.effect_noise((40, 32), 30 + number).save(tmp_path / f"{number}.png")
            rows.append(
                {"id": str(number), "report": report(number), "images": f"{number}.png", "patient_id": f"p{number}"}
            )
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        options = {"model": "gpt-test", "base_url": f"{server.url}/v1", "api": "chat"}
        recipe = {
            "kind": "curate",
            "name": "t",
            "teachers": [{"kind": "openai", "options": options}],
            "repair": {"attempts": 0},
        }
        (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
        assert main(["ingest", "jsonl", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "studies")]) == 0
        words = ["curate", str(tmp_path / "recipe.yaml"), "--studies", str(tmp_path / "studies")]
        assert main([*words, "--out", str(tmp_path / "run")]) == 0
        server.seen.clear()
        return tmp_path / "run"

    return make


def probe(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    code = main(["probe", *words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert code == 0, found
    return found


def test_a_teacher_that_explains_reports_moves_with_the_report_alone(
    curated: Callable[..., Path], server: TeacherServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run = curated(of_report)
    found = probe(capsys, str(run), "--studies", "8")
    assert (found["studies"], found["asked"], len(server.seen)) == (8, 32, 32)
    arms = found["arms"]
    assert arms["again"]["claims"]["mean"] == 0.0
    assert arms["other_report"]["claims_beyond_chance"]["low"] > 0.3
    for arm in ("other_image", "blank_image"):
        assert (arms[arm]["claims"]["mean"], arms[arm]["claims_beyond_chance"]["high"]) == (0.0, 0.0)
    assert any("moves when the report" in line for line in found["reading"])
    assert sum("not shown" in line for line in found["reading"]) == 2
    assert json.loads((run / "probe" / "probe.json").read_text()) == found
    assert main(["audit", str(run)]) == 0
    page = (run / "audit.html").read_text()
    assert "Image or report?" in page and "another patient&#x27;s image" in page
    assert json.loads((run / "audit.json").read_text())["probe"] == found
    (run / "probe" / "probe.json").write_text("{torn")
    assert main(["audit", str(run)]) == 2


def test_a_teacher_that_reads_images_moves_with_the_image_alone(
    curated: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arms = probe(capsys, str(curated(of_image)), "--studies", "12")["arms"]
    assert arms["other_report"]["claims"]["mean"] == 0.0
    assert arms["other_image"]["claims"]["mean"] > 0.0  # how far depends on which images are exchanged


def test_a_probe_is_asked_once_and_may_not_be_trained_on(
    curated: Callable[..., Path], server: TeacherServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run = curated(of_report)
    first = probe(capsys, str(run), "--studies", "3")
    again = probe(capsys, str(run), "--studies", "3")
    assert (again["asked"], again["recalled"], again["arms"]) == (0, 12, first["arms"])
    with RunFolder.read(run / "probe" / "run") as book, pytest.raises(PolicyError, match="exchanged on purpose"):
        book.check_training()
    assert main(["probe", str(run), "--studies", "4"]) == 2
    assert "a probe of other studies" in capsys.readouterr().err


def test_arms_exchange_what_they_say_and_nothing_else(
    curated: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = curated(of_report)
    probe(capsys, str(run), "--studies", "2")
    store = StudyStore.open(run / "probe" / "studies")
    assert {study.id.partition("#")[2] for study in store} == set(ARMS)
    with RunFolder.read(run) as folder:
        for study in store:
            name, arm = study.id.split("#")
            source = folder.studies.get(name)
            assert (study.report == source.report) == (arm != "other_report")
            assert (study.images[0].sha256 == source.images[0].sha256) == (arm in ("again", "other_report"))
            assert study.patient_id == source.patient_id
            if arm == "blank_image":
                with Image.open(store.path_of(study.images[0])) as image:
                    assert (image.size, image.getextrema()) == ((40, 32), (128, 128))


def test_a_text_only_teacher_is_probed_with_reports_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": str(n), "report": report(n), "patient_id": f"p{n}"} for n in range(6)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text("kind: curate\nname: t\nteachers:\n  - kind: checklist\n")
    main(["ingest", "jsonl", str(tmp_path / "in.jsonl"), "--text-only", "--out", str(tmp_path / "studies")])
    words = ["curate", str(tmp_path / "recipe.yaml"), "--studies", str(tmp_path / "studies")]
    main([*words, "--out", str(tmp_path / "run")])
    found = probe(capsys, str(tmp_path / "run"))
    assert (set(found["arms"]), found["studies"]) == ({"again", "other_report"}, 6)
    assert found["arms"]["again"]["words"]["mean"] == 0.0
    assert found["arms"]["other_report"]["claims"]["mean"] > 0.2
    assert "sees no image" in found["reading"][0]


@pytest.mark.parametrize("words", [["--studies", "0"], ["--teacher", "nobody"], ["--usd", "-1"]])
def test_what_cannot_be_probed_is_said(
    curated: Callable[..., Path], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = curated(of_report)
    capsys.readouterr()
    assert main(["probe", str(run), *words]) == 2
    assert capsys.readouterr().err.startswith("tenstep: ")
    assert not (run / "probe").exists()


texts = st.lists(st.sampled_from(["The heart is enlarged.", "No pneumothorax.", "A left effusion.", "-"]), max_size=10)


@given(texts, texts)
def test_distance_is_symmetric_nothing_for_equals_and_never_above_one(one: list[str], other: list[str]) -> None:
    first, second = (parse("\n".join(f"{n}. {t}" for n, t in enumerate(ts, 1)) or "none") for ts in (one, other))
    for distance in (words_moved, claims_moved):
        assert distance(first, first) == 0.0
        assert distance(first, second) == distance(second, first)
        assert 0.0 <= distance(first, second) <= 1.0


def test_means_are_of_studies_and_intervals_over_patients() -> None:
    one = mean_over_patients([("p", 0.2), ("p", 0.4)])
    assert (round(one.mean, 3), one.low, one.high) == (0.3, None, None)
    many = mean_over_patients([(f"p{n % 10}", float(n % 10 >= 5)) for n in range(100)])
    assert many.mean == 0.5 and many.low is not None and many.low < 0.3
