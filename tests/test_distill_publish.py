"""Publishing: what would leave is listed, and what must not leave keeps everything here."""

import json
import shutil
from pathlib import Path

import pytest
from distill_student import Trained, restricted, trained
from tenstep.__main__ import main
from tenstep.data.store.studies import StudyStore
from tenstep.distill import adapter
from tenstep.distill.publish.checks import secrets, verbatim_report_text
from tenstep.distill.publish.merge import merge
from tenstep.distill.publish.publishing import Package, publish
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import InputError, RunError
from tenstep.schemas.evaluation import EvaluatedStudent, Evaluation, Figure, OtherFigure

__all__ = ["restricted", "trained"]  # fixtures


@pytest.fixture(scope="module")
def merged(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "student"
    merge(trained.run, out, rows=1, agree=0)
    return out


@pytest.fixture
def spoiled(merged: Path, tmp_path: Path) -> Path:
    """To be changed by a test, as a folder of an earlier version, which lists no files."""
    folder = Path(shutil.copytree(merged, tmp_path / "student"))
    card = json.loads((folder / "merged.json").read_text())
    (folder / "merged.json").write_text(json.dumps(card | {"files": {}}))
    return folder


def codes(package: Package) -> set[tuple[str, str]]:
    return {(problem.file, problem.code) for problem in package.problems}


def test_an_adapter_leaves_with_its_card_and_without_paths(trained: Trained, tmp_path: Path) -> None:
    package = publish(trained.run, licence="llama3.2", out=tmp_path / "out")
    assert package.problems == () and package.searched == 6
    assert {file.name for file in package.files} == {path.name for path in (tmp_path / "out").iterdir()}
    assert {"README.md", "run_card.json", "adapter_model.safetensors", "prompt.yaml"} <= {f.name for f in package.files}
    for file in (tmp_path / "out").iterdir():
        assert str(trained.run.parent).encode() not in file.read_bytes(), file.name
    assert (tmp_path / "out" / "README.md").read_text().startswith("---\nlicense: llama3.2\nlibrary_name: peft\n")


def test_the_card_has_the_figures_of_an_evaluation_of_these_weights(
    trained: Trained, merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = Figure(
        part="report", metric="METEOR", implementation="nltk", version="3.10", preprocessing="stems", value=0.25
    )
    base = figure.model_copy(update={"others": (OtherFigure(value=0.125, difference=0.125, p=0.04),)})
    student = EvaluatedStudent(
        name="stage2", model_sha256=adapter.describe(adapter.find(trained.run))[0].sha256, temperature=0.0
    )
    found = Evaluation(
        student=student,
        others=(EvaluatedStudent(name="base"),),
        pairs=20,
        patients=12,
        sources=("folders",),
        resamples=100,
        seed=0,
        figures=(base,),
        notes=("a note",),
        code_version="0",
    )
    file = tmp_path / "evaluation" / "evaluation.json"
    file.parent.mkdir()
    file.write_text(found.model_dump_json())
    for model, out in ((trained.run, tmp_path / "adapter"), (merged, tmp_path / "merged")):
        assert publish(model, licence="llama3.2", evaluations=[file.parent], out=out).problems == ()
        card = (out / "README.md").read_text()
        assert "20 answers for 12 patients of folders." in card and "Greedy answers." in card and "- a note" in card
        assert "| report | METEOR | 0.125 | 0.250 | +0.125 | 0.0400 | nltk 3.10: stems |" in card
    other = found.model_copy(update={"student": student.model_copy(update={"model_sha256": "0" * 64, "model": "b"})})
    file.write_text(other.model_dump_json())
    assert main(["publish", str(trained.run), "--license", "x", "--evaluation", str(file)]) == 2
    assert "is of b, not of these weights" in capsys.readouterr().err
    file.write_text("{}")
    with pytest.raises(InputError, match="is no evaluation"):
        publish(trained.run, licence="x", evaluations=[file])


def test_a_dry_run_writes_nothing(merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {file: file.read_bytes() for file in merged.iterdir()}
    assert main(["publish", str(merged), "--license", "llama3.2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["allowed"] and found["out"] is None
    assert {file["name"] for file in found["files"]} == {file.name for file in merged.iterdir()}
    assert {file: file.read_bytes() for file in merged.iterdir()} == before
    with pytest.raises(RunError, match="is there already"):
        publish(merged, licence="x", out=tmp_path)


def test_nothing_leaves_without_a_licence(merged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert codes(publish(merged)) == {("README.md", "no_licence")}
    assert main(["publish", str(merged), "--out", str(tmp_path / "out")]) == 2
    assert "nothing was written" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


# put together here, so that no scanner takes this file for a leak
SECRETS = {
    "a Hugging Face token": "hf_" + "a1B2" * 9,
    "an API key": "sk-" + "proj-" + "Z9" * 16,
    "an AWS key": "AKIA" + "ABCD1234" * 2,
    "a GitHub token": "ghp_" + "x1" * 18,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a password or key": '"api_key": "' + "0123456789abcdef" + '"',
    "a password in an address": "https://me:" + "hunter2@" + "physionet.org/files",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_keeps_it_here_and_is_not_quoted(spoiled: Path, kind: str) -> None:
    file = spoiled / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"note": SECRETS[kind]}).replace('\\"', '"'))
    package = publish(spoiled, licence="llama3.2")
    assert ("generation_config.json", "secret") in codes(package)
    (problem,) = (one for one in package.problems if one.detail.startswith(kind))
    assert SECRETS[kind] not in problem.detail


def test_no_ordinary_file_of_a_model_looks_like_a_secret(merged: Path, trained: Trained) -> None:
    assert list(secrets(merged)) == []
    assert [problem for problem in secrets(trained.run / "adapter") if problem.code == "secret"] == []


def test_strangers_links_and_paths_of_the_machine_keep_it_here(spoiled: Path) -> None:
    (spoiled / "pytorch_model.bin").write_bytes(b"")
    (spoiled / "accepted.jsonl").write_text("{}")
    (spoiled / "images").mkdir()
    (spoiled / "LICENSE").symlink_to("/etc/hostname")
    config = spoiled / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"_name_or_path": "/home/alice/mimic/base"}))
    assert codes(publish(spoiled, licence="llama3.2")) == {
        ("pytorch_model.bin", "unexpected_file"),
        ("accepted.jsonl", "unexpected_file"),
        ("images", "unexpected_file"),
        ("LICENSE", "link"),
        ("config.json", "machine_path"),
    }


def test_text_that_was_learned_keeps_it_here(spoiled: Path, trained: Trained) -> None:
    report = next(iter(StudyStore.open(trained.studies))).report
    inside = " ".join(report.split()[5:20]).upper()  # however it is written
    (spoiled / "prompt.yaml").write_text((spoiled / "prompt.yaml").read_text() + f"\n# e.g. {inside}\n")
    package = publish(spoiled, licence="llama3.2", studies=trained.studies)
    assert codes(package) == {("prompt.yaml", "report_text")}
    assert inside.lower() not in package.problems[0].detail.lower()


def test_text_is_found_in_what_weights_say_of_themselves(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    words = "one two three four five six seven eight nine"
    save_file({}, tmp_path / "model.safetensors", metadata={"example": words})
    found = list(verbatim_report_text(tmp_path, [("s/1", f"zero {words} ten")]))
    assert [(problem.file, problem.code) for problem in found] == [("model.safetensors", "report_text")]
    assert list(verbatim_report_text(tmp_path, [("s/1", "one two three four five six seven")])) == []


def test_restricted_data_hand_down_their_terms_and_must_be_at_hand(restricted: Trained, tmp_path: Path) -> None:
    package = publish(restricted.run, licence="other", out=tmp_path / "out")
    assert package.problems == () and package.restricted
    assert "the data are restricted" in (tmp_path / "out" / "README.md").read_text().lower()

    merge(restricted.run, tmp_path / "merged", rows=1, agree=0)
    assert codes(publish(tmp_path / "merged", licence="other")) == {("", "unsearched")}
    assert publish(tmp_path / "merged", licence="other", studies=restricted.studies).problems == ()


def test_what_tenstep_did_not_write_is_not_published(tmp_path: Path, merged: Path) -> None:
    with pytest.raises(InputError, match="there is no trained student here"):
        publish(tmp_path)
    bare = Path(shutil.copytree(merged, tmp_path / "bare"))
    (bare / "run_card.json").unlink()
    with pytest.raises(InputError, match=r"no run_card\.json here"):
        publish(bare)


def test_training_and_merging_restricted_data_make_private_folders(restricted: Trained, tmp_path: Path) -> None:
    merge(restricted.run, tmp_path / "merged", rows=1, agree=0)
    for folder in (restricted.run, tmp_path / "merged"):
        readable = [str(file) for file in (folder, *folder.rglob("*")) if file.stat().st_mode & 0o077]
        assert readable == []


def test_a_folder_that_others_can_read_takes_no_restricted_run(restricted: Trained, tmp_path: Path) -> None:
    out = tmp_path / "open"
    out.mkdir(mode=0o755)
    recipe = DistillRecipe.model_validate(RunCard.read(restricted.run).recipe | {"run": None}, strict=False)
    with pytest.raises(RunError, match="others can read this folder"):
        distill(recipe, Path(RunCard.read(restricted.run).recipe["run"]), out)
    assert list(out.iterdir()) == []
