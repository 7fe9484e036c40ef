"""The backward pass stays out of frozen parts: gradients equal bit for bit, fewer operations."""

from pathlib import Path
from typing import Any

import pytest
from distill_parts import accepted_run, filmed, untrained
from tenstep.data.recipes import read_recipe
from tenstep.distill.libraries import quiet
from tenstep.distill.load import load
from tenstep.distill.pixels import open_image
from tenstep.distill.prompt import path_of, read
from tenstep.distill.shape import on_meta, shipped_config
from tenstep.distill.student import student_of
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

HOOKS = ("make_inputs_require_grads", "make_inputs_require_grad")


def hooks(model: Any) -> int:
    return sum(hook.__name__ in HOOKS for part in model.modules() for hook in part._forward_hooks.values())


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[DistillRecipe, list[Any]]:
    folder = tmp_path_factory.mktemp("frozen")
    store = filmed(folder, 2)
    recipe = untrained(
        folder / "tiny",
        [study.report for study in store],
        steps=1,
        batch=2,
        max_new_tokens=400,
        gradient_checkpointing=True,
        report_to=(),
        lora=Lora(r=4, top_layers=1),
    )
    prompt = read(path_of("ten-steps"))
    return recipe, rows_of(load_examples(recipe, accepted_run(store, folder / "run"), prompt).all, prompt)


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
    recipes = Path(__file__).parent.parent / "examples" / "recipes"
    assert all(read_recipe(recipes / f"{n}.yaml", DistillRecipe).gradient_checkpointing for n in ("stage1", "stage2"))


@pytest.mark.parametrize(("name", "dear", "cheap"), [("stage1", 91.0, 62.6), ("stage2", 87.6, 42.0)])
def test_a_sample_of_the_11b_model_costs_what_the_docs_say(name: str, dear: float, cheap: float) -> None:
    """Counted on the meta device: 700 tokens, four tiles, forward and backward with checkpointing; in TFLOP."""
    import torch
    from peft import get_peft_model
    from torch.utils.flop_counter import FlopCounterMode

    recipe = read_recipe(Path(__file__).parent.parent / "examples" / "recipes" / f"{name}.yaml", DistillRecipe)
    tokens, tiles = 700, 4
    with quiet():
        bare, family = on_meta(shipped_config()), student_of("mllama")
        model = get_peft_model(bare, lora.config(bare, family, recipe.lora), low_cpu_mem_usage=True).train()
        base: Any = model.base_model.model
        getattr(base, "activation_checkpointing_enable", base.gradient_checkpointing_enable)({"use_reentrant": False})
        model.enable_input_require_grads()
        with torch.device("meta"):
            batch = {
                "input_ids": torch.zeros(1, tokens, dtype=torch.long),
                "attention_mask": torch.zeros(1, 1, tokens, tokens),  # of four dimensions: never looked into
                "pixel_values": torch.zeros(1, 1, tiles, 3, 560, 560),
                "aspect_ratio_ids": torch.ones(1, 1, dtype=torch.long),
                "aspect_ratio_mask": torch.ones(1, 1, tiles, dtype=torch.long),
                "cross_attention_mask": torch.ones(1, tokens, 1, tiles, dtype=torch.long),
            }

        def teraflop() -> float:
            with FlopCounterMode(display=False) as counter:
                model(**batch).logits.float().mean().backward()
            return float(counter.get_total_flops()) / 1e12

        assert teraflop() == pytest.approx(dear, abs=0.1)
        remove_input_gradients(model)
        assert teraflop() == pytest.approx(cheap, abs=0.1)
