"""Damaged folders of students are one line, and what a student was trained on stays with it from stage to stage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distill_parts import accepted_run, filmed, recipe_on
from distill_student import STUDIES, TOKENS, Trained, trained
from tenstep.__main__ import main
from tenstep.data.recipes import read_recipe
from tenstep.data.store.studies import StudyStore
from tenstep.distill.publish.merge import merge
from tenstep.distill.publish.merge_card import MergedCard
from tenstep.distill.publish.publishing import publish
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import RunError
from tenstep.schemas.learning import Lora

__all__ = ["trained"]  # a fixture


@pytest.fixture(scope="module")
def merged(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "student"
    merge(trained.run, out, rows=1, agree=0)
    return out


def edited(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def halved(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


ADAPTER: dict[str, Callable[[Path], object]] = {
    "adapter_config.json: is not as it was written": lambda folder: edited(
        folder / "adapter_config.json", lora_alpha=64
    ),
    "adapter_config.json: is missing": lambda folder: (folder / "adapter_config.json").unlink(),
    "prompt.yaml: is not as it was written": lambda folder: halved(folder / "prompt.yaml"),
    "prompt.yaml: is missing": lambda folder: (folder / "prompt.yaml").unlink(),
    "tokenizer.json: is missing": lambda folder: (folder / "tokenizer.json").unlink(),
    "student.json: damaged (max_new_tokens": lambda folder: edited(folder / "student.json", max_new_tokens=0),
    "adapter_model.safetensors: the adapter's weights are not those": lambda folder: halved(
        folder / "adapter_model.safetensors"
    ),
    "adapter_model.safetensors: cannot be read": lambda folder: (folder / "adapter_model.safetensors").unlink(),
}
MERGED: dict[str, Callable[[Path], object]] = {
    "chat_template.jinja: is not as it was written": lambda folder: (folder / "chat_template.jinja").write_text("{{ a"),
    "config.json: is missing": lambda folder: (folder / "config.json").unlink(),
    "prompt.yaml: is not as it was written": lambda folder: (folder / "prompt.yaml").write_bytes(b"\xff\xfe"),
    "generation_config.json: is not as it was written": lambda folder: edited(
        folder / "generation_config.json", eos_token_id=0
    ),
    "the weights are not those that were merged": lambda folder: halved(folder / "model.safetensors"),
}


@pytest.mark.parametrize("fault", ADAPTER)
def test_a_damaged_student_is_one_line_and_neither_asked_nor_published(
    fault: str, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.run.parent / "base", tmp_path / "base")
    folder = Path(shutil.copytree(trained.run, tmp_path / "student"))
    ADAPTER[fault](folder / "adapter")
    refused(fault, folder, trained, tmp_path, capsys)


@pytest.mark.parametrize("fault", MERGED)
def test_damaged_merged_weights_are_one_line_and_neither_asked_nor_published(
    fault: str, trained: Trained, merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(merged, tmp_path / "merged"))
    MERGED[fault](folder)
    refused(fault, folder, trained, tmp_path, capsys)


def refused(fault: str, folder: Path, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    film, out = next(trained.films.rglob("*.png")), tmp_path / "out"
    for words in (
        ["infer", str(film), "--model", str(folder), "--max-new-tokens", "1"],
        ["sample", str(folder), "--studies", str(trained.studies), "--out", str(out), "--max-new-tokens", "1"],
        ["publish", str(folder), "--license", "llama3.2", "--out", str(out)],
    ):
        assert main(words) == 2, words
        (line,) = capsys.readouterr().err.splitlines()
        assert fault in line, words
    assert not out.exists()
    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_earlier_folder_that_lists_no_files_is_read_and_published(trained: Trained, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained.run, tmp_path / "student"))
    card = json.loads((folder / "adapter" / "student.json").read_text())
    assert card.pop("files")
    (folder / "adapter" / "student.json").write_text(json.dumps(card))
    assert publish(folder, licence="llama3.2", out=tmp_path / "out").problems == ()


def test_what_is_published_can_be_checked_by_whoever_gets_it(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "student" / "adapter"
    assert publish(trained.run, licence="llama3.2", out=out).problems == ()
    shutil.copy(trained.run / "run_card.json", out.parent)
    assert publish(out, licence="llama3.2").problems == ()


def test_a_training_goes_on_with_as_many_processes_as_it_began_with(trained: Trained, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained.run, tmp_path / "student"))
    edited(folder / "run_card.json", processes=2, finished=None)
    recipe = read_recipe(folder / "recipe.yaml", DistillRecipe)
    with pytest.raises(RunError, match="began with 2 processes, and 1 were started"):
        distill(recipe, Path(str(recipe.run)), folder, resume=True)


def test_terms_of_restricted_data_stay_with_what_is_trained_on_top(
    trained: Trained, merged: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(merged, tmp_path / "base"))
    edited(base / "merged.json", restricted=True, sources=["mimic-cxr"])
    store = filmed(tmp_path, 2)
    assert store.data_class == "public"
    recipe = recipe_on(base, steps=1, batch=2, max_new_tokens=TOKENS, report_to=(), lora=Lora(r=4), quantize="none")
    card = distill(recipe, accepted_run(store, tmp_path / "run"), tmp_path / "student")
    assert card.preflight.restricted and (tmp_path / "student").stat().st_mode & 0o077 == 0
    found = publish(tmp_path / "student", licence="llama3.2", out=tmp_path / "out")
    assert found.restricted and {problem.code for problem in found.problems} == {"unsearched"}
    again = merge(tmp_path / "student", tmp_path / "second", rows=1, agree=0)
    assert again.restricted and again.sources == ("folders", "mimic-cxr")
    assert "PhysioNet" in (tmp_path / "second" / "README.md").read_text()
    assert not RunCard.read(trained.run).preflight.restricted and len(StudyStore.open(trained.studies)) == STUDIES
    assert not MergedCard.read(merged).restricted
