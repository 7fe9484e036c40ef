"""Without a group: influence is the first-order change that it is called, and delta is that of a real training."""

import json
import shutil
from pathlib import Path

import pytest
from distill_parts import accepted_run, changed, filmed, untrained
from tenstep.__main__ import main
from tenstep.distill import adapter
from tenstep.distill.leave_out import influences, leave_out, mean_loss
from tenstep.distill.libraries import quiet
from tenstep.distill.pixels import open_image
from tenstep.distill.train.collator import CompletionCollator
from tenstep.distill.train.examples import pool
from tenstep.distill.train.rows import rows_of
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import InputError
from tenstep.schemas.learning import Lora, Optimizer

STUDIES = 5


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without")
    return accepted_run(filmed(folder, STUDIES), folder / "run")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, run: Path) -> DistillRecipe:
    return untrained(
        tmp_path_factory.mktemp("base") / "tiny",
        [one.study.report for one in pool(run, "accepted")],
        steps=6,
        batch=2,
        validation=0.4,
        quantize="none",
        log_every=1,
        max_new_tokens=400,
        report_to=(),
        lora=Lora(r=4),
        optimizer=Optimizer(learning_rate=4e-3),
    )


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, recipe: DistillRecipe, run: Path) -> Path:
    out = tmp_path_factory.mktemp("student") / "out"
    distill(recipe, run, out)
    return out


def keys(student: Path, side: str) -> list[str]:
    rows = map(json.loads, (student / "rows.jsonl").read_text().splitlines())
    return [row["key"] for row in rows if row["side"] == side]


def test_influence_is_what_a_small_step_on_a_row_does_to_the_held_out_loss(student: Path, run: Path) -> None:
    import torch

    card, prompt = adapter.describe(student / "adapter")
    rows = rows_of(list(pool(run, "accepted")), prompt)
    with quiet():
        loaded = adapter.load_student(student / "adapter", card)
        collate = CompletionCollator(loaded.processor, None, open_image)
        (found,) = influences(loaded, collate, rows[:1], rows[3:])
        weights = [weight for weight in loaded.model.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(loaded.model(**collate(rows[:1])).loss, weights, allow_unused=True)
        before = mean_loss(loaded, collate, rows[3:], 1)
        rate = 1e-3
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    weight.sub_(rate * gradient)
        after = mean_loss(loaded, collate, rows[3:], 1)
    assert found == pytest.approx((before - after) / rate, rel=0.1)


def test_delta_is_that_of_a_training_without_the_group(
    recipe: DistillRecipe, student: Path, run: Path, tmp_path: Path
) -> None:
    trained = keys(student, "train")
    groups = {"finding": {"Pleural Effusion": trained[:1]}, "attempt": {"1": trained, "2": ["unknown"]}}
    found = leave_out(run, student, groups, retrain=tmp_path / "again")
    assert found.held_out == len(keys(student, "validation")) and found.noise is not None
    assert set(found.groups["attempt"]) == {"1"} and found.groups["attempt"]["1"].delta is None  # nothing would be left
    one = found.groups["finding"]["Pleural Effusion"]
    assert one.rows == 1 and one.delta is not None
    without = changed(recipe, traces={"without": trained[:1]})
    assert keys(tmp_path / "again" / "finding-pleural-effusion", "train") == trained[1:]
    card = distill(without, run, tmp_path / "by-hand")
    again = json.loads((tmp_path / "again" / "finding-pleural-effusion" / "run_card.json").read_text())
    assert again["adapter_sha256"] == card.adapter_sha256


def test_the_command_writes_and_shows_it(student: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["attribute", str(run), str(student), "--out", str(out), "--leave-out", "finding", "attempt"]) == 0
    written = json.loads((out / "attribution.json").read_text())["left_out"]
    assert written["groups"]["attempt"]["1"]["rows"] == len(keys(student, "train"))
    assert written["groups"]["attempt"]["1"]["delta"] is None and written["noise"] is None


def test_what_was_trained_on_is_not_held_out(student: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"2 of its patients were trained on"):
        leave_out(run, student, {}, held_out=run)
    assert main(["attribute", str(run), str(student), "--retrain"]) == 2
    assert "are for --leave-out KIND" in capsys.readouterr().err


def test_without_a_validation_set_another_run_must_be_named(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    distill(changed(recipe, validation=0.0, steps=1), run, tmp_path / "out")
    with pytest.raises(InputError, match="give a run of other studies with --held-out"):
        leave_out(run, tmp_path / "out", {})


def test_rows_that_were_left_out_as_too_long_were_not_trained_on(student: Path, run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(student, tmp_path / "student"))
    row = json.loads((folder / "rows.jsonl").read_text().splitlines()[0])
    card = json.loads((folder / "run_card.json").read_text())
    card["preflight"]["dropped"] = [row["study"]]
    (folder / "run_card.json").write_text(json.dumps(card))
    trained = keys(folder, "train")
    assert row["key"] in trained
    found = leave_out(run, folder, {"attempt": {"1": trained}})
    assert found.groups["attempt"]["1"].rows == len(trained) - 1
