"""Learning by reward: answers scored as sampling reads them, image inputs kept with their rows, held-out checks."""

from pathlib import Path
from typing import Any

import pytest
from distill_parts import changed, kill_at_step_5, recipe_on, steps
from distill_student import PHANTOMS, base, run, store
from tenstep.data.store.studies import StudyStore
from tenstep.distill.libraries import quiet
from tenstep.distill.load import load
from tenstep.distill.pixels import open_image
from tenstep.distill.prompt import path_of, read
from tenstep.distill.train import trainer as trainers
from tenstep.distill.train.answers import count, signs
from tenstep.distill.train.backend import Choice
from tenstep.distill.train.collator import CompletionCollator, TrainingRow
from tenstep.distill.train.examples import load_examples
from tenstep.distill.train.grpo import asked_of, together
from tenstep.distill.train.ranks import Ranks
from tenstep.distill.train.rows import rows_of
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import TrainingError
from tenstep.schemas.learning import Lora, Optimizer
from tiny_students import base_of

__all__ = ["base", "run", "store"]  # fixtures

TOKENS = 24
TEN = read(path_of("ten-steps"))


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    return recipe_on(
        base,
        method="grpo",
        steps=6,
        batch=4,
        validation=0.4,
        reward={"answers": 2, "held_out": 2},
        save_every=4,
        log_every=1,
        max_length=1024,
        max_new_tokens=400,
        report_to=(),
        quantize="none",
        lora=Lora(r=4, parts=("vision", "language")),
        optimizer=Optimizer(learning_rate=4e-3),
    )


@pytest.fixture(scope="module")
def rows(recipe: DistillRecipe, run: Path) -> list[TrainingRow]:
    return rows_of(load_examples(recipe, run, TEN).all, TEN, reward=True)


def trainer_of(recipe: DistillRecipe, rows: list[TrainingRow], out: Path) -> Any:
    loaded = load(recipe.base, None, "none")
    collate = CompletionCollator(loaded.processor, None, open_image)
    brief = recipe.model_copy(update={"max_new_tokens": TOKENS})
    choice = Choice("hf", "a test")
    return trainers.build(brief, loaded, rows, (), collate, out, steps=2, choice=choice, ranks=Ranks())


@pytest.mark.parametrize("family", ["mllama", "gemma3", "idefics3"])
def test_answers_are_as_likely_as_the_model_finds_them_with_their_own_images(
    family: str, recipe: DistillRecipe, rows: list[TrainingRow], store: StudyStore, tmp_path: Path
) -> None:
    import torch

    base = base_of(family, recipe.base, tmp_path / family, [study.report for study in store])
    with quiet():
        trainer = trainer_of(changed(recipe, base=base), rows, tmp_path / "out")
        found: list[tuple[Any, dict[str, Any]]] = []
        compute = trainer._compute_loss
        trainer._compute_loss = lambda model, inputs: found.append((model, inputs)) or compute(model, inputs)
        trainer.train()
        inputs = found[0][1]
        asked, answered = inputs["prompt_ids"], inputs["completion_ids"]
        ids = torch.cat([asked, answered], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        for at, fields in enumerate(inputs["fields"]):
            alone = together([fields], asked.shape[1], answered.shape[1])
            with torch.inference_mode():
                model = trainer.model.eval()
                direct = model(input_ids=ids[at : at + 1], attention_mask=mask[at : at + 1], **alone).logits
                trainer._rows = [fields]
                other, *_ = trainer._get_per_token_logps_and_entropies(
                    model, ids[at : at + 1], mask[at : at + 1], answered.shape[1]
                )
            likely = direct[:, asked.shape[1] - 1 : -1].float().log_softmax(-1)
            wanted = likely.gather(-1, answered[at : at + 1, :, None]).squeeze(-1) * inputs["completion_mask"][at]
            assert torch.allclose(other * inputs["completion_mask"][at], wanted, atol=1e-4)
    assert len({str(one["pixel_values"].sum()) for one in inputs["fields"]}) == 2  # two studies, two answers each


def test_what_is_asked_is_what_sampling_asks(recipe: DistillRecipe, rows: list[TrainingRow]) -> None:
    with quiet():
        processor = load(recipe.base, None, "none").processor
        ids, fields = asked_of(processor, rows[0]["prompt"], open_image(rows[0]["image"]))
        text = processor.tokenizer.decode(ids)
    assert text.count("<|begin_of_text|>") == 1 and text.endswith("assistant<|end_header_id|>\n\n")
    assert fields["cross_attention_mask"].shape[1] == len(ids)
    longer = together([fields], len(ids) + 2, 3)["cross_attention_mask"]
    assert longer.shape[1] == len(ids) + 5
    assert not longer[:, :2].any() and bool(longer[:, -3:].all())


def test_a_family_whose_inputs_are_not_known_is_refused(recipe: DistillRecipe, rows: list[TrainingRow]) -> None:
    import torch

    class Odd:
        """A processor with an input of a value a token that nobody knows."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def __call__(self, **given: Any) -> Any:
            found = self.inner(**given)
            return {**found, "tile_of_token": torch.zeros_like(found["input_ids"])}

    with quiet():
        odd = Odd(load(recipe.base, None, "none").processor)
        with pytest.raises(TrainingError, match=r"method grpo cannot be given tile_of_token of Odd; .* method dpo"):
            asked_of(odd, rows[0]["prompt"], open_image(rows[0]["image"]))


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    recipe: DistillRecipe, store: StudyStore, tmp_path: Path
) -> None:
    recipe = changed(recipe, studies=[str(store.root)], max_new_tokens=120)  # only reports must fit
    whole = distill(recipe, None, tmp_path / "whole")
    kill_at_step_5(recipe, None, tmp_path / "killed")
    resumed = distill(recipe, None, tmp_path / "killed", resume=True)
    assert [session.from_step for session in resumed.sessions] == [0, 4]
    assert resumed.adapter_sha256 == whole.adapter_sha256
    assert resumed.held_out == whole.held_out
    assert [one.step for one in whole.held_out] == [0, 6]
    assert {"reward", "rewards/structure/mean", "rewards/grounding/mean"} <= whole.losses[-1].others.keys()
    assert whole.preflight.shown == ()  # nothing is imitated


def test_an_answer_that_does_not_end_gets_nothing(
    recipe: DistillRecipe, rows: list[TrainingRow], tmp_path: Path
) -> None:
    with quiet():
        trainer = trainer_of(recipe, rows, tmp_path / "out")
        tokens = trainer.processing_class.tokenizer
        ids = tokens(rows[0]["target"], add_special_tokens=False)["input_ids"]
        columns = {
            "reference_report": [rows[0]["reference_report"]] * 2,
            "views": [["PA"]] * 2,
            "has_prior": [False] * 2,
        }
        ended = [*ids, tokens.eos_token_id]
        scores = [one(completion_ids=[ended, ids], **columns) for one in trainer.reward_funcs]
    assert all(end > 0.5 and cut == 0.0 for end, cut in scores)


def test_held_out_answers_are_judged_for_what_a_reward_does_not_see(store: StudyStore, rows: list[TrainingRow]) -> None:
    truth = {study.id: f"{steps(study)}\n\n{study.report}" for study in store}
    good = count(rows, [(truth[row["study"]], True) for row in rows], (0.3, 0.5, 0.2, 0.0), step=0)
    same = count(rows, [(truth[rows[0]["study"]], True)] * len(rows), (0.3, 0.5, 0.2, 0.0), step=1)
    nothing = "\n".join(f"{at}. Region {at} is looked at." for at in range(1, 11))
    silent = count(rows, [(f"{nothing}\n\n{row['reference_report']}", True) for row in rows], (1, 0, 0, 0), step=2)
    cut = count(rows, [(truth[row["study"]], False) for row in rows], (1, 1, 1, 1), step=3)
    assert (good.accepted, good.says_nothing, good.repeated) == (1.0, 0.0, 0.0) and good.reward == 1.0
    assert same.repeated == 1.0 and same.accepted < 1.0
    assert silent.says_nothing == 1.0 and silent.coverage == 0.0
    assert cut.reward == 0.0 and cut.accepted == 0.0
    assert "did not rise" in signs(good, good)[0] and not signs(cut, good)
    assert len(signs(good, same)) >= 2 and "look less at the film" in " ".join(signs(good, same))
    assert "silent" in " ".join(signs(good, silent)) and "leave things out" in " ".join(signs(good, silent))


def test_studies_need_no_traces(recipe: DistillRecipe, store: StudyStore) -> None:
    examples = load_examples(changed(recipe, studies=[str(store.root)]), None, TEN)
    assert len(examples.all) == PHANTOMS and examples.validation


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"validation": 0.0}, "method grpo needs studies that the rules do not reward"),
        ({"batch": 3}, "batch times accumulate must be a multiple of reward.answers"),
        ({"patience": 2}, "no validation loss that patience could wait for"),
        ({"reward": {"structure": 0, "grounding": 0, "coverage": 0}}, "must weigh something"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(recipe: DistillRecipe, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(recipe, **fields)


def test_a_prompt_for_reports_alone_is_refused(recipe: DistillRecipe, run: Path) -> None:
    with pytest.raises(TrainingError, match="asks for a report alone, but the reward is for ten steps and the report"):
        load_examples(changed(recipe, prompt="report-only"), run, read(path_of("report-only")))
