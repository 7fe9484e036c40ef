"""Exports, read back by what trains on them: row counts, images, splits, pairs; restricted data stay at home."""

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from curation_parts import make_store
from distill_parts import accepted_run, filmed, steps
from tenstep.__main__ import main
from tenstep.data.exporter import kinds
from tenstep.data.exporting import read_manifest
from tenstep.data.readings import Readings
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.reading import Reading
from tenstep.schemas.study import DataClass, ReportForm, Study
from tenstep.schemas.verdict import Finding, Verdict
from tenstep.validators.gate import codes_of
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import REFERENCE

STUDIES = 6
Export = Callable[..., Path]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return filmed(tmp_path_factory.mktemp("films"), STUDIES)


@pytest.fixture(scope="module")
def run(store: StudyStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every study has an accepted trace, and some have rejected ones."""
    out = accepted_run(store, tmp_path_factory.mktemp("run") / "run")
    studies = list(store)
    with RunFolder.read(out) as opened:
        recipe = opened.manifest.recipe
    from tenstep.schemas.curate_recipe import CurateRecipe

    with RunFolder.open(out, kind="curate", recipe=CurateRecipe.model_validate(recipe), studies=store) as again:
        for number, (study, text, code) in enumerate(
            (
                (studies[0], steps(studies[0]).replace("10. ", "10. Oddly, "), "unsupported"),
                (studies[0], steps(studies[0]).replace("9. ", "9. Oddly, "), "unsupported"),
                (studies[0], steps(studies[0]).replace("8. ", "8. Oddly, "), "unsupported"),
                (studies[1], steps(studies[1]).replace("10. ", "10. Oddly, "), "leak"),
                (studies[2], steps(studies[2]), "unsupported"),  # the accepted text itself
                (studies[3], steps(studies[3]).replace("10. ", "11. "), "step_count"),
                (studies[4], steps(studies[4]).replace("10. ", "10. " + "Very oddly, " * 200), "unsupported"),
            )
        ):
            candidate = read_candidate(text, study.id, writes_report=False)
            key = hashlib.sha256(f"bad {number}".encode()).hexdigest()
            finding = Finding(rule="r", code=CODES[code], severity="error", message="m")
            again.record(candidate.model_copy(update={"key": key}), Verdict(findings=(finding,)), raw=b"")
        again.finish()
    return out


def test_only_what_readers_have_accepted_can_be_exported(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    words = ["export", str(copy), "--to", "jsonl", "--reviewed-only", "--out"]
    assert main([*words, str(tmp_path / "none")]) == 2  # nobody has read anything
    with RunFolder.read(copy) as opened:
        keys = {example.study.id: example.provenance.key for example in opened.accepted()}
    (first, *_, last) = sorted(keys)
    with Readings(copy, writable=True) as readings:
        for study, decision in ((first, "accept"), (last, "unsure")):
            readings.append(
                Reading(
                    key=keys[study], study_id=study, reader="anna", decision=decision, revision=1, saw_findings=True,
                    queue="work", seconds=2.0, at=1.0,
                )
            )  # fmt: skip
    assert main([*words, str(tmp_path / "read")]) == 0
    manifest = read_manifest(tmp_path / "read")
    assert manifest.reviewed_only and sum(manifest.rows.values()) == 1
    (row,) = (json.loads(line) for line in (tmp_path / "read" / "train.jsonl").read_text().splitlines())
    assert row["id"] == first
    card = (tmp_path / "read" / "README.md").read_text()
    assert "readers who have accepted each row" in card and "of 1 |" in card


def test_an_export_that_failed_leaves_its_place_free(tmp_path: Path) -> None:
    store = filmed(tmp_path / "films", 2)
    run = accepted_run(store, tmp_path / "run")
    film = store.path_of(next(iter(store)).images[0])
    words = ["export", str(run), "--to", "jsonl", "--out", str(tmp_path / "dataset")]
    film.rename(tmp_path / "film")
    assert main(words) == 2
    assert not (tmp_path / "dataset").exists()
    (tmp_path / "film").rename(film)
    assert main(words) == 0


CODES = {
    "unsupported": min(codes_of("grounding")),
    "leak": min(codes_of("honesty")),
    "step_count": "step_count",
}


@pytest.fixture
def export(run: Path, tmp_path: Path) -> Export:
    def make(kind: str, *words: str | Path) -> Path:
        assert main(["export", str(run), "--to", kind, "--out", str(tmp_path / kind), *map(str, words)]) == 0
        return tmp_path / kind

    return make


def loader(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_there_is_an_exporter_for_every_trainer() -> None:
    assert kinds() == (
        "axolotl", "imagefolder", "jsonl", "llama-factory", "ms-swift", "parquet", "trl", "trl-dpo", "unsloth",
    )  # fmt: skip


def test_jsonl_holds_the_joined_text_and_the_images(export: Export, store: StudyStore) -> None:
    folder = export("jsonl")
    rows = lines(folder / "train.jsonl")
    studies = {study.id: study for study in store}
    assert len(rows) == STUDIES
    for row in rows:
        assert row["text"].endswith("\n\n" + studies[row["id"]].report)
        data = (folder / row["images"][0]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == studies[row["id"]].images[0].sha256


@pytest.mark.parametrize("form", ["prompt_completion", "messages"])
def test_trl_loads_every_row_with_its_image(export: Export, form: str) -> None:
    pytest.importorskip("trl")
    from trl.data_utils import prepare_multimodal_messages

    folder = export("trl")
    found = loader(folder).load(form)["train"]
    assert len(found) == STUDIES
    row = found[0]
    assert row["images"][0].size == (64, 64)
    turns = row["messages"] if form == "messages" else row["prompt"] + row["completion"]
    told = prepare_multimodal_messages(turns, images=row["images"])
    assert [part["type"] for part in told[0]["content"]] == ["image", "text"]
    assert told[1]["content"][0]["text"] == turns[1]["content"]


def test_pairs_are_of_one_study_and_of_candidates_that_rules_rejected_for_what_they_say(
    export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export("trl-dpo")
    rows = loader(folder).load("pairs")["train"]
    assert len(rows) == 3  # two of the first study, by the default of --pairs, and one of the second
    for row in rows:
        assert row["chosen"][0]["content"] != row["rejected"][0]["content"]
        assert "Oddly" in row["rejected"][0]["content"]
        assert row["rejected_by"]
    assert read_manifest(folder).pairs.dropped == {
        "more than 1.5 times as long, or as short": 1,
        "more than 2 of a study": 1,
        "rejected for its form": 1,
        "the same text": 1,
    }
    assert "none: the same text" in capsys.readouterr().out


def test_unsloth_gets_a_list_with_opened_images(export: Export) -> None:
    found = loader(export("unsloth")).load()
    assert isinstance(found, list) and len(found) == STUDIES
    question, answer = found[0]["messages"]
    assert [part["type"] for part in question["content"]] == ["image", "text"]
    assert question["content"][0]["image"].mode == "RGB"
    assert answer["content"][0]["text"].startswith("1. ")


def test_llama_factory_finds_what_its_converter_asks_for(export: Export) -> None:
    folder = export("llama-factory")
    info = json.loads((folder / "dataset_info.json").read_text())
    assert set(info) == {"tenstep_train", "tenstep_dpo_train"}
    rows = json.loads((folder / info["tenstep_train"]["file_name"]).read_text())
    pairs = json.loads((folder / info["tenstep_dpo_train"]["file_name"]).read_text())
    assert (len(rows), len(pairs)) == (STUDIES, 3)
    for row in rows:
        told = row["messages"]
        assert told[0]["content"].count("<image>") == len(row["images"]) == 1
        assert (folder / row["images"][0]).is_file()
    assert info["tenstep_dpo_train"]["ranking"] and {"chosen", "rejected", "images"} <= set(pairs[0])


def test_ms_swift_and_axolotl_rows_name_their_images(export: Export) -> None:
    swift, axolotl = export("ms-swift"), export("axolotl")
    rows = lines(swift / "train.jsonl")
    assert len(rows) == STUDIES and all((swift / row["images"][0]).is_file() for row in rows)
    pairs = lines(swift / "dpo_train.jsonl")
    assert len(pairs) == 3
    assert all(pair["rejected_response"] != pair["messages"][-1]["content"] for pair in pairs)
    parts = [row["messages"][0]["content"] for row in lines(axolotl / "train.jsonl")]
    assert len(parts) == STUDIES
    assert all((axolotl / part[0]["path"]).is_file() and part[1]["type"] == "text" for part in parts)


def test_parquet_holds_its_images_when_the_originals_are_gone(export: Export, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = export("parquet")
    files = {"train": str(folder / "data" / "train.parquet")}
    found = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))["train"]
    assert len(found) == STUDIES
    assert found[0]["images"][0].size == (64, 64) and len(found[0]["steps"]) == 10
    assert [path.name for path in folder.rglob("*.png")] == []


def test_imagefolder_loads_every_row(export: Export, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = export("imagefolder")
    found = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    assert len(found) == STUDIES
    assert found[0]["image"].size == (64, 64) and found[0]["text"].startswith("1. ")


def test_splits_are_kept_and_a_patient_is_in_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def study(name: str, patient: str, split: str | None) -> Study:
        return Study(
            id=f"t/{name}", patient_id=patient, source="t", data_class="public", report=REFERENCE,
            report_form="four-header", split=split,
        )  # fmt: skip

    def run_of(name: str, *studies: Study) -> Path:
        store = make_store(tmp_path / f"{name}-studies", studies)
        return checked_run(store, tmp_path / name)

    apart = run_of("apart", study("a", "1", "train"), study("b", "2", "val"), study("c", "3", "test"))
    out = tmp_path / "out"
    words = ["--to", "jsonl", "--text-only", "--out", str(out)]
    assert main(["export", str(apart), *words]) == 0
    assert sorted(path.name for path in out.glob("*.jsonl")) == ["test.jsonl", "train.jsonl", "validation.jsonl"]
    assert read_manifest(out).rows == {"train": 1, "validation": 1, "test": 1}
    mixed = run_of("mixed", study("a", "1", "train"), study("b", "1.0 ", "test"))
    assert main(["export", str(mixed), "--to", "jsonl", "--text-only", "--out", str(tmp_path / "no")]) == 2
    assert "is in two splits" in capsys.readouterr().err
    assert main(["export", str(apart), "--to", "trl", "--out", str(tmp_path / "no")]) == 2
    assert "--text-only" in capsys.readouterr().err


def checked_run(store: StudyStore, out: Path) -> Path:
    from tenstep.schemas.curate_recipe import CurateRecipe
    from tenstep.validators.rule import ten

    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "r", "teachers": [{"kind": "checklist"}]})
    with RunFolder.open(out, kind="curate", recipe=recipe, studies=store) as run:
        for study in store:
            run.record(read_candidate(ten(report=None), study.id, writes_report=False), Verdict(), raw=b"")
    return out


@pytest.mark.parametrize("data_class", ["public", "restricted"])
def test_reports_of_several_forms_are_refused_before_they_leave(
    data_class: DataClass, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms: tuple[ReportForm, ...] = ("four-header", "verbatim")
    studies = [
        Study(id=f"t/{form}", patient_id=form, source="t", data_class=data_class, report=REFERENCE, report_form=form)
        for form in forms
    ]
    run = checked_run(make_store(tmp_path / "studies", studies), tmp_path / "run")
    out = tmp_path / "out"
    assert main(["export", str(run), "--to", "jsonl", "--text-only", "--out", str(out)]) == 2
    assert "1 studies have another form (the first is 't/verbatim')" in capsys.readouterr().err
    assert not out.exists()


def test_restricted_studies_leave_as_steps_and_hashes_and_their_owner_joins_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = filmed(tmp_path, 3, data_class="restricted")
    run = accepted_run(store, tmp_path / "run")
    shared = tmp_path / "shared"
    assert main(["export", str(run), "--to", "jsonl", "--out", str(shared)]) == 0
    assert "tenstep join" in capsys.readouterr().out
    assert {path.name for path in shared.iterdir()} >= {"export.json", "records.jsonl"}
    assert not (shared / "images").exists()
    told = (shared / "records.jsonl").read_text()
    assert all(study.report not in told and json.dumps(study.report)[1:-1] not in told for study in store)
    whole = tmp_path / "whole"
    assert main(["join", str(shared), "--studies", str(store.root), "--out", str(whole)]) == 0
    assert main(["export", str(run), "--to", "jsonl", "--out", str(tmp_path / "direct"), "--include-restricted"]) == 0
    assert (whole / "train.jsonl").read_text() == (tmp_path / "direct" / "train.jsonl").read_text()
    assert (whole / "train.jsonl").stat().st_mode & 0o077 == 0
    other = filmed(tmp_path / "other", 2, data_class="restricted")
    assert main(["join", str(shared), "--studies", str(other.root), "--out", str(tmp_path / "no")]) == 2
    assert "no store holds study" in capsys.readouterr().err
    assert main(["join", str(whole), "--studies", str(store.root), "--out", str(tmp_path / "no")]) == 2
    assert "nothing to join" in capsys.readouterr().err


def test_a_join_with_another_report_or_image_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = filmed(tmp_path, 1, data_class="restricted")
    study = next(iter(store))
    assert (
        main(["export", str(accepted_run(store, tmp_path / "run")), "--to", "trl", "--out", str(tmp_path / "e")]) == 0
    )
    for name, change in (("report", {"report": study.report + " "}), ("images", {"images": ()})):
        other = make_store(tmp_path / name, [study.model_copy(update=change)])
        words = ["join", str(tmp_path / "e"), "--studies", str(other.root), "--out", str(tmp_path / "no")]
        assert main(words) == 2
        assert f"has {'another report' if name == 'report' else 'other images'}" in capsys.readouterr().err


def test_bad_words_are_one_clear_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    for words, said in (
        (["--to", "tfrecord", "--out", "x"], "there is no exporter 'tfrecord'"),
        (["--to", "trl", "--out", str(tmp_path / "taken")], "choose another --out"),
        (["--to", "trl", "--out", "x", "--prompt", "no"], "there is no prompt 'no'"),
        (["--to", "trl", "--out", "x", "--prompt", "ten-steps-verbatim"], "choose another --prompt"),
    ):
        assert main(["export", str(run), *words]) == 2
        assert said in capsys.readouterr().err


def test_an_image_that_changed_since_ingest_is_not_exported(
    store: StudyStore, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store.path_of(next(iter(store)).images[0])
    data = path.read_bytes()
    path.write_bytes(data + b"x")
    try:
        assert main(["export", str(run), "--to", "jsonl", "--out", str(tmp_path / "out")]) == 2
    finally:
        path.write_bytes(data)
    assert "changed since it was ingested" in capsys.readouterr().err
