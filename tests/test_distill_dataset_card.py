"""Cards, Croissant and publishing of datasets: from the run's record, and only what may leave."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from distill_parts import accepted_run, filmed
from servers.hub import HubServer
from tenstep.__main__ import main
from tenstep.data.exporting import read_manifest
from tenstep.data.store.studies import StudyStore
from tenstep.distill.publish import croissant
from tenstep.validators.gate import RULES

STUDIES = 5


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return filmed(tmp_path_factory.mktemp("films"), STUDIES)


@pytest.fixture(scope="module")
def run(store: StudyStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return accepted_run(store, tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def dataset(run: Path, tmp_path: Path) -> Path:
    assert main(["export", str(run), "--to", "parquet", "--out", str(tmp_path / "dataset")]) == 0
    return tmp_path / "dataset"


def published(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["publish", *map(str, words), "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def test_the_card_says_what_the_run_says(dataset: Path, store: StudyStore) -> None:
    card = (dataset / "README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "unknown" and head["size_categories"] == ["n<1K"]
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "data/train.parquet"}]
    assert f"| rows | train {STUDIES} |" in card and f"| patients | {STUDIES} |" in card
    for rule in RULES:
        assert f"| {rule.__name__.rpartition('.')[2]} |" in card
    for part in ("## Terms inherited", "## How it was made", "## How it was judged", "## Known limits"):
        assert part in card
    assert all(study.report not in card for study in store)
    figures = json.loads((dataset / "figures.json").read_text())
    assert figures["examples"] == STUDIES and sum(figures["runs"][0]["teachers"].values()) == STUDIES
    assert (dataset / "findings.svg").read_text().startswith("<svg")


def test_croissant_names_every_file_with_its_hash_and_known_keys_only(dataset: Path) -> None:
    found = json.loads((dataset / croissant.FILE).read_text())
    assert found["conformsTo"] == croissant.CONFORMS_TO
    assert {key for key in found if key.startswith("rai:")} <= croissant.RAI
    files = {file["name"]: file["sha256"] for file in found["distribution"]}
    assert files == read_manifest(dataset).files
    assert [record["name"] for record in found["recordSet"]] == ["data/train"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "trl"])
def test_the_reference_library_reads_the_croissant(run: Path, tmp_path: Path, kind: str) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    assert main(["export", str(run), "--to", kind, "--out", str(tmp_path / kind)]) == 0
    found = mlcroissant.Dataset(str(tmp_path / kind / croissant.FILE))
    assert not found.metadata.issues.errors
    for record in found.metadata.record_sets:
        assert len(list(found.records(record.uuid))) == STUDIES


def test_publishing_needs_a_licence_and_writes_it_into_the_card(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = published(capsys, dataset)
    assert code == 2 and [problem["code"] for problem in found["problems"]] == ["no_licence"]
    code, found = published(capsys, dataset, "--license", "cc-by-4.0", "--out", tmp_path / "ready")
    assert code == 0 and found["allowed"]
    assert "license: cc-by-4.0" in (tmp_path / "ready" / "README.md").read_text()
    assert json.loads((tmp_path / "ready" / croissant.FILE).read_text())["license"] == "cc-by-4.0"


def test_strange_and_changed_files_and_secrets_keep_a_dataset_here(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / "notes.txt").write_text("token: hf_" + "a" * 34)
    (dataset / "film.png").write_bytes(b"a film that no export wrote")
    (dataset / "link").symlink_to("/etc/hostname")
    try:
        code, found = published(capsys, dataset, "--license", "cc0-1.0")
    finally:
        (dataset / "link").unlink()
    assert code == 2
    assert {problem["code"] for problem in found["problems"]} >= {"unexpected", "link", "secret"}
    assert "film.png" in {problem["file"] for problem in found["problems"]}
    (dataset / "data" / "train.parquet").write_bytes(b"PAR1")
    code, found = published(capsys, dataset, "--license", "cc0-1.0")
    assert code == 2 and "changed" in {problem["code"] for problem in found["problems"]}


def test_restricted_text_never_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = filmed(tmp_path, 2, data_class="restricted")
    run = accepted_run(store, tmp_path / "run")
    for name, more in (("whole", ["--include-restricted"]), ("steps", [])):
        assert main(["export", str(run), "--to", "jsonl", "--out", str(tmp_path / name), *more]) == 0
    code, found = published(capsys, tmp_path / "whole", "--license", "x")
    assert code == 2 and "restricted" in {problem["code"] for problem in found["problems"]}
    code, found = published(capsys, tmp_path / "steps", "--license", "x")
    assert code == 2 and [problem["code"] for problem in found["problems"]] == ["unsearched"]
    code, found = published(capsys, tmp_path / "steps", "--license", "x", "--studies", store.root)
    assert found["searched"] == 2
    assert main(["publish", str(tmp_path / "steps"), "--license", "x", "--push", "o/n"]) == 2
    assert "never pushed" in capsys.readouterr().err


def test_a_push_goes_to_a_private_repository_with_the_card(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("huggingface_hub")
    with HubServer() as hub:
        words = ["publish", str(dataset), "--license", "cc-by-4.0", "--push", "o/n", "--endpoint", hub.url]
        assert main(words) == 0
    assert "pushed to" in capsys.readouterr().out
    assert hub.repositories[0]["visibility"] == "private" and hub.repositories[0]["type"] == "dataset"
    assert hub.files["data/train.parquet"] == (dataset / "data" / "train.parquet").read_bytes()
    assert b"license: cc-by-4.0" in hub.files["README.md"]


def test_a_hub_that_says_no_is_one_line(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("huggingface_hub")
    with HubServer(refuse=403) as hub:
        words = ["publish", str(dataset), "--license", "cc-by-4.0", "--push", "o/n", "--endpoint", hub.url]
        assert main(words) == 2
    assert "the hub did not take it" in capsys.readouterr().err
    words[-1] = "http://127.0.0.1:9"
    assert main(words) == 2
    assert "the hub did not take it" in capsys.readouterr().err
    assert main(["publish", str(dataset), "--push", "o/n"]) == 2
    assert "--license" in capsys.readouterr().err
