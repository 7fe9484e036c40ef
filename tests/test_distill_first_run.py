"""A first run on a real card does not stop half-way: lengths, control tokens, cards, parts, shapes and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from distill_parts import changed, recipe_on
from distill_student import PHANTOMS, base, run, store
from tenstep.data.recipes import read_recipe
from tenstep.distill.shape import on_meta, shape_of, shipped_config
from tenstep.distill.student import Student, kind_of, layer_of, student_of
from tenstep.distill.train import checkpoints, lora
from tenstep.distill.train.lengths import check_control_tokens
from tenstep.distill.train.preflight import preflight
from tenstep.distill.train.ranks import check_cards
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import RecipeError, TrainingError
from tenstep.schemas.learning import Lora

RECIPES = Path(__file__).parent.parent / "examples" / "recipes"

__all__ = ["base", "run", "store"]  # fixtures


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    fields = {"steps": 4, "batch": 2, "max_new_tokens": 300, "save_every": 50, "log_every": 1, "report_to": ()}
    return recipe_on(base, lora=Lora(r=4, whole=("lm_head",)), **fields)


def lengths(recipe: DistillRecipe, run: Path) -> tuple[int, int]:
    """The middle target and the longest, in tokens."""
    found = preflight(recipe, run).target
    assert found is not None
    return found.median, found.longest


def test_all_examples_that_are_too_long_are_named_at_once(recipe: DistillRecipe, run: Path) -> None:
    median, longest = lengths(recipe, run)
    assert median < longest
    with pytest.raises(TrainingError) as caught:
        preflight(changed(recipe, max_new_tokens=median), run)
    assert f"up to {longest}" in str(caught.value) and "too_long: drop" in str(caught.value)
    assert str(caught.value).count("'folders/demo-") > 1


def test_examples_that_are_too_long_can_be_left_out_and_are_listed(
    recipe: DistillRecipe, run: Path, tmp_path: Path
) -> None:
    median, _ = lengths(recipe, run)
    card = distill(changed(recipe, max_new_tokens=median, too_long="drop", steps=1), run, tmp_path / "out")
    dropped = card.preflight.dropped
    assert dropped and card.preflight.examples == PHANTOMS - len(dropped)
    assert card.preflight.target is not None and card.preflight.target.longest <= median
    with pytest.raises(TrainingError, match="every example is too long"):
        preflight(changed(recipe, max_new_tokens=1, too_long="drop"), run)


def test_control_tokens_in_any_target_are_found_before_step_one(recipe: DistillRecipe, run: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(recipe.base)
    good = [
        {"study": f"s/{at}", "image": "", "prompt": "p", "target": "The heart is normal < 5 | cm."} for at in range(9)
    ]
    check_control_tokens(good, processor)  # type: ignore[arg-type]  # plain dictionaries
    for mark in ("<|eot_id|>", "<|image|>"):
        bad = [*good, {**good[0], "study": "s/late", "target": f"Clear.{mark} More."}]
        with pytest.raises(TrainingError) as caught:
            check_control_tokens(bad, processor)  # type: ignore[arg-type]  # plain dictionaries
        assert f"1 targets hold control tokens of the tokenizer ('s/late'; the first is '{mark}'" in str(caught.value)


def test_several_cards_without_torchrun_are_one_line() -> None:
    check_cards(0, 1)
    check_cards(1, 1)
    check_cards(4, 4)
    with pytest.raises(TrainingError, match=r"4 GPUs are visible .* torchrun --nproc_per_node 4"):
        check_cards(4, 1)


def test_every_part_that_a_recipe_names_gets_adapters() -> None:
    model = on_meta(shipped_config())
    blind = Student("mllama", {"head": "lm_head", "projector": "model.multi", "language": "model.", "vision": "none."})
    with pytest.raises(RecipeError, match="no attention module of the vision part would get an adapter"):
        lora.targets(model, blind, Lora(parts=("vision", "language")))
    assert lora.targets(model, student_of("mllama"), Lora(parts=("vision", "language")))


def test_module_names_of_other_towers_are_understood() -> None:
    name = "model.vision_tower.encoder.layer.3.attention.q_proj"
    assert (layer_of(name), kind_of(name)) == (3, "attention")


def test_a_base_that_is_not_at_hand_is_not_counted_on_another_familys_shape() -> None:
    assert shape_of("google/gemma-3-27b-it", "0" * 40) is None
    known = shape_of("meta-llama/Llama-3.2-11B-Vision-Instruct", "0" * 40)
    assert known is not None and not known.own
    recipe = DistillRecipe(kind="distill", name="p", base="google/gemma-3-27b-it", revision="0" * 40, steps=1)
    found = preflight(recipe, None)
    assert found.shape == "unknown" and found.memory is None and found.trainable == {}
    assert any("neither is its shape" in text for text in found.unchecked)
    counted = preflight(changed(recipe, shape="Llama-3.2-11B-Vision-Instruct"), None)
    assert counted.memory is not None and counted.trainable


@pytest.mark.parametrize("name", ["stage1", "stage2", "stage2-as-run"])
def test_shipped_recipes_can_be_spread_over_two_and_four_cards(name: str) -> None:
    assert read_recipe(RECIPES / f"{name}.yaml", DistillRecipe).accumulate % 4 == 0


_INTERRUPTED = """
import json, os, signal, sys
from pathlib import Path
from tenstep.__main__ import main
out = Path(sys.argv[3])
import threading, time
def watch():
    while not (out / "run_card.json").exists():
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=watch, daemon=True).start()
sys.exit(main(["distill", sys.argv[1], "--run", sys.argv[2], "--out", sys.argv[3]]))
"""


def test_ctrl_c_saves_a_checkpoint_and_says_how_to_go_on(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    long = changed(recipe, steps=400)
    (tmp_path / "recipe.yaml").write_text(json.dumps(long.model_dump(mode="json")))
    out = tmp_path / "out"
    words = [sys.executable, "-c", _INTERRUPTED, str(tmp_path / "recipe.yaml"), str(run), str(out)]
    done = subprocess.run(
        words, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 130, done.stderr
    assert "which is saved; go on with the same command and --resume" in done.stderr
    last = checkpoints.last(out / "checkpoints")
    assert last is not None and f"stopped after step {checkpoints.step_of(last)} of 400" in done.stderr
    assert not (out / "adapter").exists() and RunCard.read(out).finished is None


def test_signals_are_given_back() -> None:
    from tenstep.distill.train.callbacks import Stop

    before = signal.getsignal(signal.SIGINT)
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wanted and signal.getsignal(signal.SIGINT) is before  # a second one stops at once
    assert signal.getsignal(signal.SIGINT) is before


def test_a_mistyped_prompt_leaves_no_folder(recipe: DistillRecipe, run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no prompt 'ten-stepz'"):
        distill(changed(recipe, prompt="ten-stepz"), run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
