"""Learning from preference: pairs of a run, one batch of both texts, a margin that grows; refusals and resuming."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from distill_parts import changed, kill_at_step_5, recipe_on, steps
from distill_student import PHANTOMS, base, store
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.libraries import quiet
from tenstep.distill.load import load
from tenstep.distill.pixels import open_image
from tenstep.distill.prompt import path_of, read
from tenstep.distill.train.collator import CompletionCollator
from tenstep.distill.train.dpo import PairCollator, check_image_token
from tenstep.distill.train.examples import load_examples
from tenstep.distill.train.preflight import preflight
from tenstep.distill.train.rows import rows_of
from tenstep.distill.train.train import distill
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import RunError, TrainingError
from tenstep.schemas.learning import Lora, Optimizer, PreferenceOptimization
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.study import Study
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate
from tiny_students import base_of

__all__ = ["base", "store"]  # fixtures

OLD = tuple(map(int, version("trl").split(".")[:2])) < (1, 16)
trains = pytest.mark.skipif(OLD, reason="this TRL cannot train Llama 3.2 Vision so: see below")
TEN = read(path_of("ten-steps"))


def wrong(study: Study) -> str:
    """The study's steps with a size that no phantom's reference has."""
    lines = steps(study).split("\n")
    lines[9] = "10. A pacemaker lead of 12 mm and a 35 mm mass are present."
    return "\n".join(lines)


def judged_run(store: StudyStore, out: Path, rejected: int) -> Path:
    """A run whose first `rejected` studies were first told wrongly, then rightly."""
    recipe = CurateRecipe(kind="curate", name="told", teachers=(TeacherSpec(kind="checklist"),))
    with RunFolder.open(out, kind="curate", recipe=recipe, studies=store) as run:
        for at, study in enumerate(store):
            for text in (wrong(study), steps(study)) if at < rejected else (steps(study),):
                candidate = read_candidate(text, study.id, writes_report=False)
                run.record(candidate, judge(study, candidate), raw=b"")
        run.finish()
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: StudyStore) -> Path:
    return judged_run(store, tmp_path_factory.mktemp("run") / "run", PHANTOMS - 1)


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    return recipe_on(
        base,
        method="dpo",
        steps=10,
        batch=2,
        save_every=4,
        log_every=1,
        max_new_tokens=400,
        report_to=(),
        lora=Lora(r=8, parts=("vision", "language")),
        optimizer=Optimizer(learning_rate=4e-3),
    )


def margins(base: str, adapter: Path | None, rows: list[Any]) -> list[float]:
    """By pair, the log likelihood of the accepted text less that of the rejected one, summed over tokens."""
    import torch
    from peft import PeftModel

    with quiet():
        loaded = load(base, None, "nf4")
        model = loaded.model if adapter is None else PeftModel.from_pretrained(loaded.model, adapter)
        collate = PairCollator(CompletionCollator(loaded.processor, None, open_image))
        batch = dict(collate(rows))
        mask = batch.pop("completion_mask")[:, 1:]
        with torch.inference_mode():
            likely = model(**batch).logits[:, :-1].log_softmax(-1)
    ids = batch["input_ids"][:, 1:, None].clamp(max=likely.shape[-1] - 1)
    sums = (likely.gather(-1, ids).squeeze(-1) * mask).sum(1)
    return (sums[: len(rows)] - sums[len(rows) :]).tolist()


@trains
def test_the_accepted_text_becomes_likelier_than_the_rejected_one(
    recipe: DistillRecipe, run: Path, tmp_path: Path
) -> None:
    card = distill(recipe, run, tmp_path / "out")
    assert card.preflight.pairs == {"unsupported_measurement": PHANTOMS - 1}
    assert card.preflight.examples == PHANTOMS - 1
    assert card.losses[0].loss == pytest.approx(0.6931, abs=1e-3)  # log 2: no preference yet
    assert card.losses[-1].loss < 0.3
    assert card.losses[-1].others["rewards/margins"] > 1
    rows = rows_of(load_examples(recipe, run, TEN).all, TEN)
    before, after = margins(recipe.base, None, rows), margins(recipe.base, tmp_path / "out" / "adapter", rows)
    assert all(one < other for one, other in zip(before, after, strict=True))
    written = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert len(written) == PHANTOMS - 1 and all(len(row["rejected"]) == 1 for row in written)
    assert (tmp_path / "out" / "adapter" / "student.json").is_file()


def test_a_batch_holds_the_accepted_texts_then_the_rejected_ones(recipe: DistillRecipe, run: Path) -> None:
    rows = rows_of(load_examples(recipe, run, TEN).all, TEN)[:2]
    with quiet():
        loaded = load(recipe.base, None, "none")
        batch = PairCollator(CompletionCollator(loaded.processor, None, open_image))(rows)
        tokens = loaded.processor.tokenizer
        learned = [
            tokens.decode(ids[mask.bool()], skip_special_tokens=True).strip()
            for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
        ]
    assert learned == [*(row["target"] for row in rows), *(row["rejected"] for row in rows)]
    assert "labels" not in batch and len(batch["pixel_values"]) == 4


def test_a_version_of_trl_that_cannot_read_the_image_token_is_refused(recipe: DistillRecipe, tmp_path: Path) -> None:
    with quiet():
        model = load(recipe.base, None, "none").model
        gemma = load(base_of("gemma3", recipe.base, tmp_path / "gemma", ["The heart is normal."]), None, "none").model
    check_image_token(model, "1.16.0")
    check_image_token(gemma, "1.14.2")
    with pytest.raises(TrainingError, match=r"trains a mllama with TRL 1.16 or newer, and 1\.14\.2 is installed"):
        check_image_token(model, "1.14.2")


@trains
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    recipe: DistillRecipe, run: Path, tmp_path: Path
) -> None:
    whole = distill(recipe, run, tmp_path / "whole")
    kill_at_step_5(recipe, run, tmp_path / "killed")
    resumed = distill(recipe, run, tmp_path / "killed", resume=True)
    assert [session.from_step for session in resumed.sessions] == [0, 4]
    assert resumed.adapter_sha256 == whole.adapter_sha256
    with pytest.raises(RunError, match="recipe changed since"):
        distill(changed(recipe, preference={"beta": 0.2}), run, tmp_path / "killed", resume=True)


@trains
def test_validation_pairs_are_watched_and_the_best_adapter_is_kept(
    recipe: DistillRecipe, run: Path, tmp_path: Path
) -> None:
    card = distill(changed(recipe, validation=0.4, steps=8, split_seed=2), run, tmp_path / "out")
    assert [one.step for one in card.evaluations] == [4, 8]
    assert card.best_step is not None and card.evaluations[-1].loss < 0.6931


def test_the_preflight_counts_pairs_and_measures_both_texts(recipe: DistillRecipe, run: Path) -> None:
    found = preflight(recipe, run)
    assert found.pairs == {"unsupported_measurement": PHANTOMS - 1} and found.examples == PHANTOMS - 1
    with pytest.raises(TrainingError, match=f"{2 * (PHANTOMS - 1)} examples have more than the 200 tokens"):
        preflight(changed(recipe, max_length=200), run)


def test_a_run_without_pairs_is_refused_with_what_became_of_its_candidates(
    recipe: DistillRecipe, store: StudyStore, tmp_path: Path
) -> None:
    run = judged_run(store, tmp_path / "run", 0)
    with pytest.raises(
        TrainingError, match=r"no preference pair can be made \(no accepted study has a rejected text\)"
    ):
        distill(recipe, run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"studies": ("a",)}, "method dpo learns from what a run accepted and rejected"),
        ({"traces": {"source": "first"}}, "method dpo learns from what a run accepted and rejected"),
        ({"backend": "unsloth"}, "unsloth is wired for method sft"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(recipe: DistillRecipe, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(recipe, **fields)


def test_how_many_pairs_a_study_gives_is_the_recipes(recipe: DistillRecipe, run: Path) -> None:
    examples = load_examples(changed(recipe, preference=PreferenceOptimization(pairs=1).model_dump()), run, TEN)
    assert all(len(one.rejected) == 1 for one in examples.all)
    assert examples.sha256 != load_examples(changed(recipe, method="sft"), run, TEN).sha256
