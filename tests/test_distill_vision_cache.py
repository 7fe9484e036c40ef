"""Features kept on disk: gradients equal bit for bit, fewer operations, one pass of the tower for each image."""

from pathlib import Path
from typing import Any

import pytest
from distill_parts import changed, recipe_on
from distill_student import base, run, store
from tenstep.data.store.studies import StudyStore
from tenstep.distill.libraries import quiet
from tenstep.distill.load import load
from tenstep.distill.pixels import open_image
from tenstep.distill.prompt import path_of, read
from tenstep.distill.student import student_of
from tenstep.distill.train import lora
from tenstep.distill.train.collator import CompletionCollator, TrainingRow
from tenstep.distill.train.examples import load_examples
from tenstep.distill.train.preflight import preflight
from tenstep.distill.train.rows import rows_of
from tenstep.distill.train.train import distill
from tenstep.distill.train.vision_cache import VisionCache, check_sound
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import TrainingError
from tenstep.schemas.learning import Lora, Optimizer
from tiny_students import base_of

__all__ = ["base", "run", "store"]  # fixtures

TEN = read(path_of("ten-steps"))


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    return recipe_on(
        base,
        limit=3,
        epochs=3,
        batch=2,
        log_every=1,
        max_new_tokens=400,
        report_to=(),
        lora=Lora(r=4),
        optimizer=Optimizer(learning_rate=4e-3),
    )


@pytest.fixture(scope="module")
def rows(recipe: DistillRecipe, run: Path) -> list[TrainingRow]:
    return rows_of(load_examples(recipe, run, TEN).all, TEN)


@pytest.mark.parametrize(("family", "quantize"), [("mllama", "nf4"), ("gemma3", "none"), ("idefics3", "none")])
def test_gradients_are_equal_bit_for_bit_and_cost_less(
    family: str, quantize: Any, recipe: DistillRecipe, rows: list[TrainingRow], store: StudyStore, tmp_path: Path
) -> None:
    import torch
    from peft import get_peft_model
    from torch.utils.flop_counter import FlopCounterMode

    base = base_of(family, recipe.base, tmp_path / family, [study.report for study in store])
    with quiet():
        loaded = load(base, None, quantize)
        check_sound(recipe, loaded.model, loaded.student)
        collate = CompletionCollator(loaded.processor, None, open_image)
        cache = VisionCache(tmp_path / "features", loaded, collate)
        cache.fill(rows, lambda *_: None)
        torch.manual_seed(0)
        model = get_peft_model(loaded.model, lora.config(loaded.model, loaded.student, recipe.lora)).train()
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)  # at zero, A would get no gradient to compare

        def step(batch: Any) -> tuple[dict[str, Any], int]:
            model.zero_grad()
            with FlopCounterMode(display=False) as counter:
                model(**batch).loss.backward()
            found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}
            return found, counter.get_total_flops()

        before, dear = step(collate(rows))
        after, cheap = step(cache(rows))
    assert before.keys() == after.keys() and before
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(gradient.abs().sum() > 0 for gradient in after.values())
    assert cheap < dear


def test_a_run_with_it_ends_with_the_same_weights_and_sees_each_image_once(
    recipe: DistillRecipe, run: Path, tmp_path: Path
) -> None:
    plain = distill(recipe, run, tmp_path / "plain")
    kept = changed(recipe, vision_cache=str(tmp_path / "features"), workers=1)
    said: list[tuple[str, int, int]] = []
    card = distill(kept, run, tmp_path / "kept", on_progress=lambda *one: said.append(one))
    assert card.adapter_sha256 == plain.adapter_sha256
    assert [one for one in said if one[0] == "vision"] == [("vision", at, 3) for at in (1, 2, 3)]
    files = list((tmp_path / "features").rglob("*.safetensors"))
    assert len(files) == 3 and len({file.parent for file in files}) == 1
    assert preflight(kept, run).features_mb == card.preflight.features_mb
    said.clear()
    distill(changed(kept, seed=1), run, tmp_path / "again", on_progress=lambda *one: said.append(one))
    assert not [one for one in said if one[0] == "vision"]  # another run of the same tower and images reads them
    files[0].write_bytes(b"half")
    with pytest.raises(TrainingError, match=r"the features of its image are gone or damaged; remove the file"):
        distill(changed(kept, workers=0), run, tmp_path / "damaged")


def test_other_towers_and_precisions_have_features_of_their_own(
    recipe: DistillRecipe, rows: list[TrainingRow], store: StudyStore, tmp_path: Path
) -> None:
    from tenstep.distill.train.tiny import build

    build(tmp_path / "other", [study.report for study in store], seed=1)
    folders = set()
    with quiet():
        for base, quantize in ((recipe.base, "nf4"), (recipe.base, "none"), (str(tmp_path / "other"), "none")):
            loaded = load(base, None, quantize)  # type: ignore[arg-type]  # they are two of its words
            folders.add(VisionCache(tmp_path, loaded, CompletionCollator(loaded.processor, None, open_image)).folder)
    assert len(folders) == 3


def test_what_is_not_sound_is_refused(recipe: DistillRecipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vision_cache keeps what a frozen vision part sees"):
        changed(recipe, vision_cache="features", lora={"parts": ["vision", "language"]})
    with quiet():
        loaded = load(recipe.base, None, "none")
        whole = changed(recipe, lora={"whole": ["model.multi_modal_projector"]})
        with pytest.raises(TrainingError, match="the vision part learns"):
            check_sound(whole, loaded.model, loaded.student)
        loaded.model.model.vision_model.shaken = _dropout()
        with pytest.raises(TrainingError, match=r"vision_model.shaken' drops features at random"):
            check_sound(recipe, loaded.model, loaded.student)
        with pytest.raises(TrainingError, match=r"features of qwen2_5_vl are not kept; .* gemma3, idefics3, mllama"):
            check_sound(recipe, loaded.model, student_of("qwen2_5_vl"))


def _dropout() -> Any:
    import torch

    return torch.nn.Dropout(0.1)
