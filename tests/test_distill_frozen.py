"""The backward pass stays out of frozen parts: gradients equal bit for bit, fewer operations."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from distill_parts import recipe_on
from distill_student import base, run
from tenstep.data.recipes import read_recipe
from tenstep.distill.libraries import quiet
from tenstep.distill.load import load
from tenstep.distill.pixels import open_image
from tenstep.distill.prompt import path_of, read
from tenstep.distill.train import lora
from tenstep.distill.train import trainer as trainers
from tenstep.distill.train.backend import Choice
from tenstep.distill.train.callbacks import follow
from tenstep.distill.train.collator import CompletionCollator
from tenstep.distill.train.examples import load_examples
from tenstep.distill.train.frozen import remove_input_gradients
from tenstep.distill.train.ranks import Ranks
from tenstep.distill.train.rows import rows_of
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.learning import Lora

__all__ = ["base", "run"]  # fixtures

ROOT = Path(__file__).parent.parent
HOOKS = ("make_inputs_require_grads", "make_inputs_require_grad")


def hooks(model: Any) -> int:
    return sum(hook.__name__ in HOOKS for part in model.modules() for hook in part._forward_hooks.values())


@pytest.fixture(scope="module")
def parts(base: Path, run: Path) -> tuple[DistillRecipe, list[Any]]:
    recipe = recipe_on(
        base,
        limit=2,
        steps=1,
        batch=2,
        max_new_tokens=400,
        gradient_checkpointing=True,
        report_to=(),
        lora=Lora(r=4, top_layers=1),
    )
    prompt = read(path_of("ten-steps"))
    return recipe, rows_of(load_examples(recipe, run, prompt).all, prompt)


def test_gradients_are_equal_bit_for_bit_and_cost_less(parts: tuple[DistillRecipe, list[Any]]) -> None:
    import torch
    from peft import get_peft_model
    from torch.utils.flop_counter import FlopCounterMode

    recipe, rows = parts
    with quiet():
        loaded = load(recipe.base, None, "none")
        torch.manual_seed(0)
        model = get_peft_model(loaded.model, lora.config(loaded.model, loaded.student, recipe.lora))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)  # at zero, A would get no gradient to compare
        batch = dict(CompletionCollator(loaded.processor, None, open_image)(rows))
        model.train()
        base: Any = model.base_model.model
        enable = getattr(base, "activation_checkpointing_enable", base.gradient_checkpointing_enable)
        enable({"use_reentrant": False})
        model.enable_input_require_grads()
        assert hooks(model) > 0

        def step() -> tuple[dict[str, Any], int]:
            model.zero_grad()
            with FlopCounterMode(display=False) as counter:
                model(**batch).loss.backward()
            found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}
            return found, counter.get_total_flops()

        before, dear = step()
        assert remove_input_gradients(model) > 0 and hooks(model) == 0
        after, cheap = step()
    assert before.keys() == after.keys() and before
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(gradient.abs().sum() > 0 for gradient in after.values())
    assert cheap < 0.85 * dear


def test_the_hooks_are_gone_while_the_trainer_trains(parts: tuple[DistillRecipe, list[Any]], tmp_path: Path) -> None:
    recipe, rows = parts
    with quiet():
        loaded = load(recipe.base, None, "nf4")
        collate = CompletionCollator(loaded.processor, None, open_image)
        choice = Choice("hf", "a test")
        made = trainers.build(recipe, loaded, rows, (), collate, tmp_path, steps=1, choice=choice, ranks=Ranks())
        seen: list[int] = []
        made.add_callback(follow(lambda _step: seen.append(hooks(made.model)), lambda _step: None, None))
        made.train()
    assert seen == [0]
    assert {str(weight.dtype) for weight in made.model.parameters() if weight.requires_grad} == {"torch.float32"}


def test_shipped_recipes_train_with_checkpointing() -> None:
    recipes = ROOT / "examples" / "recipes"
    assert all(read_recipe(recipes / f"{n}.yaml", DistillRecipe).gradient_checkpointing for n in ("stage1", "stage2"))


SPEC = importlib.util.spec_from_file_location("step_flops", ROOT / "benchmarks" / "step_flops.py")
assert SPEC is not None and SPEC.loader is not None
step_flops = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(step_flops)


@pytest.mark.parametrize(("name", "figures"), [("stage1", (91.0, 62.6)), ("stage2", (87.6, 42.0, 23.0))])
def test_a_sample_of_the_11b_model_costs_what_the_docs_say(name: str, figures: tuple[float, ...]) -> None:
    """In TFLOP: as TRL trains, with the hooks removed, and with the features of a frozen tower kept."""
    with quiet():
        found = step_flops.teraflop(read_recipe(ROOT / "examples" / "recipes" / f"{name}.yaml", DistillRecipe))
    assert list(found.values())[: len(figures)] == pytest.approx(figures, abs=0.1)
