"""A validation set: the best adapter is kept, training stops when it no longer gets better, and resume stays exact."""

from pathlib import Path

import pytest
from distill_parts import changed, kill_at_step_5, recipe_on
from distill_student import base, run
from tenstep.distill.adapter import WEIGHTS
from tenstep.distill.load import sha256_of
from tenstep.distill.train import checkpoints
from tenstep.distill.train.callbacks import exhausted
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import MissingExtraError, TrainingError
from tenstep.schemas.learning import Lora, Optimizer

__all__ = ["base", "run"]  # fixtures


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    return recipe_on(
        base,
        steps=6,
        batch=2,
        validation=0.3,
        split_seed=2,
        save_every=2,
        log_every=1,
        max_new_tokens=300,
        lora=Lora(r=4, dropout=0.1, whole=("lm_head",)),
    )


@pytest.fixture(scope="module")
def diverging(recipe: DistillRecipe) -> DistillRecipe:
    """Its validation loss rises from the first evaluation on."""
    wild = Optimizer(learning_rate=0.3, schedule="constant_with_warmup", warmup=0, clip=1e6)
    return changed(recipe, optimizer=wild.model_dump(), steps=12, patience=2)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, diverging: DistillRecipe, run: Path) -> Path:
    out = tmp_path_factory.mktemp("stopped") / "out"
    distill(diverging, run, out)
    return out


def test_patience_counts_evaluations_that_were_no_better() -> None:
    assert not exhausted([], 1) and not exhausted([3.0], 1) and not exhausted([3.0, 2.0], 1)
    assert exhausted([2.0, 2.0], 1) and exhausted([2.0, 3.0], 1)
    assert not exhausted([2.0, 3.0, 1.0, 4.0], 2) and exhausted([2.0, 3.0, 1.0, 4.0, 1.0], 2)
    assert not exhausted([1.0, 2.0, 3.0], None)


def test_training_stops_early_and_the_best_adapter_is_kept(stopped: Path) -> None:
    card = RunCard.read(stopped)
    losses = [one.loss for one in card.evaluations]
    assert [one.step for one in card.evaluations] == list(range(2, 2 * len(losses) + 1, 2))
    assert len(losses) < 6 and exhausted(losses, 2) and not exhausted(losses[:-1], 2)
    assert card.best_step == 2 * (1 + losses.index(min(losses)))
    kept = stopped / "checkpoints" / f"checkpoint-{card.best_step}" / WEIGHTS
    assert card.adapter_sha256 == sha256_of(stopped / "adapter" / WEIGHTS) == sha256_of(kept)
    assert card.steps == 12 and card.losses[-1].step == 2 * len(losses)
    assert card.preflight.validation > 0


def test_a_run_that_had_stopped_early_does_not_train_on(stopped: Path, diverging: DistillRecipe, run: Path) -> None:
    card = RunCard.read(stopped)
    card.model_copy(update={"finished": None, "adapter_sha256": None}).write(stopped)
    told: list[int] = []
    again = distill(diverging, run, stopped, resume=True, on_progress=lambda _what, step, _all: told.append(step))
    assert not told
    assert (again.adapter_sha256, again.losses, again.evaluations) == (
        card.adapter_sha256,
        card.losses,
        card.evaluations,
    )


def test_a_killed_run_watches_on_as_if_nothing_had_been(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    whole = distill(recipe, run, tmp_path / "whole")
    kill_at_step_5(recipe, run, tmp_path / "killed")
    assert checkpoints.last(tmp_path / "killed" / "checkpoints") is not None
    card = distill(recipe, run, tmp_path / "killed", resume=True)
    assert (card.adapter_sha256, card.losses, card.evaluations) == (
        whole.adapter_sha256,
        whole.losses,
        whole.evaluations,
    )
    assert list((tmp_path / "whole" / "tensorboard").glob("events.*"))


def test_a_full_card_says_what_to_lower(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    import torch

    def on_progress(_what: str, _step: int, _all: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    with pytest.raises(
        TrainingError, match=r"batch from 2 to 1 with accumulate 2; gradient_checkpointing: true; .*r fr"
    ):
        distill(recipe, run, tmp_path / "out", on_progress=on_progress)


def test_a_loss_that_is_no_number_ends_the_run(diverging: DistillRecipe, run: Path, tmp_path: Path) -> None:
    wild = diverging.optimizer.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"at step \d the (eval_loss|loss|adapter) is not a finite number"):
        distill(changed(diverging, optimizer=wild.model_dump()), run, tmp_path / "out")


def test_no_checkpoint_without_numbers_is_written(diverging: DistillRecipe, run: Path, tmp_path: Path) -> None:
    wild = diverging.optimizer.model_copy(update={"learning_rate": 1e30})
    late = changed(diverging, optimizer=wild.model_dump(), patience=None, validation=0.0, save_every=2, log_every=10)
    with pytest.raises(
        TrainingError, match=r"at step \d the (loss|adapter) is not a finite number; .* choose another --out"
    ):
        distill(late, run, tmp_path / "out")
    for weights in (tmp_path / "out" / "checkpoints").rglob("adapter_model.safetensors"):
        import torch
        from safetensors.torch import load_file

        assert all(torch.isfinite(value).all() for value in load_file(weights).values())


def test_patience_without_a_patient_to_validate_on_is_refused(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    from tenstep.data.run import RunFolder
    from tenstep.data.splitting.splits import SplitRecipe, resolve, write_splits

    with RunFolder.read(run) as opened:
        splits = resolve(SplitRecipe.model_validate({"test": 0.0, "validate": 0.0}), [list(opened.studies)])
    write_splits(splits, tmp_path / "splits.yaml")
    waiting = changed(recipe, validation=0.0, splits=str(tmp_path / "splits.yaml"), patience=2)
    with pytest.raises(TrainingError, match="0 for validation; split again, with patients to validate on"):
        distill(waiting, run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wandb_is_used_only_where_it_is_named_and_installed(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    try:
        import wandb  # noqa: F401  only whether it is there
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"\[wandb\]"):
            distill(changed(recipe, report_to=["wandb"]), run, tmp_path / "out")
    else:
        pytest.skip("wandb is installed, and would speak to its makers")


def test_without_a_board_none_is_written(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    distill(changed(recipe, steps=1, report_to=[], validation=0.0), run, tmp_path / "out")
    assert not (tmp_path / "out" / "tensorboard").exists()
