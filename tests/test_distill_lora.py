"""What learns is what the recipe says: counted on the tiny student, and on the 11B model's shape without weights."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError
from tenstep.distill.libraries import quiet
from tenstep.distill.load import load
from tenstep.distill.student import layer_of, student_of
from tenstep.distill.train.lora import agree, config, expected, targets, trainable
from tenstep.distill.train.tiny import build
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import RecipeError, TrainingError
from tenstep.schemas.learning import Lora

MLLAMA = student_of("mllama")


@pytest.fixture(scope="module")
def large() -> Any:
    """Llama-3.2-11B-Vision's shape on the meta device: no memory, no weights."""
    import torch
    from transformers import MllamaConfig, MllamaForConditionalGeneration

    with torch.device("meta"):
        return MllamaForConditionalGeneration(MllamaConfig())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lora") / "tiny"
    build(folder, ["The heart is normal."] * 3)
    return str(folder)


@pytest.fixture
def tiny(checkpoint: str) -> Any:
    return load(checkpoint, None, "nf4").model


@pytest.mark.parametrize(
    ("lora", "counts"),
    [
        # the stage-2 run that was published: 40 language and 40 vision layers
        (Lora(r=8, parts=("vision", "language"), modules=("attention",)), {"language": 8_519_680, "vision": 3_276_800}),
        # what was meant: the top twelve language layers
        (Lora(r=8, parts=("language",), modules=("attention",), top_layers=12), {"language": 2_555_904}),
    ],
)
def test_the_counts_of_the_11b_model(large: Any, lora: Lora, counts: Mapping[str, int]) -> None:
    assert expected(large, MLLAMA, lora) == counts


def test_top_layers_are_the_last_ones_and_leave_vision_alone(large: Any) -> None:
    chosen = targets(large, MLLAMA, Lora(parts=("vision", "language"), modules=("mlp",), top_layers=2))
    language = {layer_of(name) for name in chosen if name.startswith("model.language_model")}
    vision = [name for name in chosen if name.startswith("model.vision_model")]
    assert language == {38, 39}
    assert len(vision) == 40 * 2


@pytest.mark.parametrize(
    "lora",
    [
        Lora(r=4),
        Lora(r=4, parts=("vision",), modules=("mlp",)),
        Lora(r=2, parts=("vision", "language"), modules=("attention",), top_layers=1, whole=("lm_head",)),
        Lora(r=4, rslora=True, dropout=0.1, whole=("model.multi_modal_projector",)),
    ],
)
def test_peft_trains_exactly_what_the_recipe_says(checkpoint: str, lora: Lora) -> None:
    from peft import get_peft_model

    tiny = load(checkpoint, None, "nf4", lora.whole).model
    wanted = expected(tiny, MLLAMA, lora)
    with quiet():
        wrapped = get_peft_model(tiny, config(tiny, MLLAMA, lora))
    agree(wanted, trainable(wrapped, MLLAMA))


def test_a_weight_that_learns_unasked_is_a_mismatch(tiny: Any) -> None:
    from peft import get_peft_model

    wanted = expected(tiny, MLLAMA, Lora(r=4))
    with quiet():
        wrapped = get_peft_model(tiny, config(tiny, MLLAMA, Lora(r=4)))
    next(weight for name, weight in wrapped.named_parameters() if "patch_embedding" in name).requires_grad = True
    with pytest.raises(TrainingError, match=r"not those of the recipe \(vision: [\d,]+ instead of 0\)"):
        agree(wanted, trainable(wrapped, MLLAMA))


def test_a_choice_that_names_nothing_is_refused(tiny: Any) -> None:
    with pytest.raises(RecipeError, match="there are 3 language layers"):
        targets(tiny, MLLAMA, Lora(top_layers=4))
    with pytest.raises(RecipeError, match="the model has no module 'lm_tail'"):
        expected(tiny, MLLAMA, Lora(whole=("lm_tail",)))
    with pytest.raises(ValidationError):
        Lora(parts=())


def test_a_recipe_says_how_long_in_one_way() -> None:
    for length in ({}, {"steps": 5, "epochs": 1}):
        with pytest.raises(ValidationError, match="give either epochs or steps"):
            DistillRecipe.model_validate({"kind": "distill", "name": "x", "base": "tiny", **length})
