"""Students: the tiny checkpoint is what it says it is, every weight belongs to a part, and foreign files stay out."""

import json
from pathlib import Path
from typing import Any

import pytest
from tenstep.distill.libraries import quiet
from tenstep.distill.load import fingerprint, load
from tenstep.distill.prompt import path_of, read
from tenstep.distill.student import kind_of, layer_of, student_of
from tenstep.distill.train.tiny import IMAGE, build
from tenstep.distill.train.tiny_base import tiny_base
from tenstep.schemas.errors import InputError, RecipeError, TrainingError

SENTENCES = ["The heart is normal.", "There is a small left pleural effusion.", "1. 2. 3. Findings: Impression:"] * 3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("students") / "tiny"
    build(folder, SENTENCES)
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Any:
    return load(str(checkpoint), None, "nf4").model


def test_a_pretrained_base_is_known_again_by_what_earlier_versions_wrote_into_it(tmp_path: Path) -> None:
    with quiet():
        out = tiny_base(tmp_path / "base", SENTENCES, steps=0)
        written = json.loads((out / "pretrained.json").read_text())
        assert written["shape"].startswith("Shape(hidden=128, ") and (written["seed"], written["steps"]) == (0, 0)
        before = (out / "config.json").stat().st_mtime_ns
        tiny_base(out, SENTENCES[::-1], steps=0)
    assert (out / "config.json").stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    build(tmp_path / "again", SENTENCES)
    build(tmp_path / "other", SENTENCES, seed=1)
    assert fingerprint(str(tmp_path / "again"), None) == fingerprint(str(checkpoint), None)
    assert fingerprint(str(tmp_path / "other"), None) != fingerprint(str(checkpoint), None)


def test_the_image_token_can_be_read_but_not_written(checkpoint: Path, model: Any) -> None:
    processor = load(str(checkpoint), None, "none").processor
    image = processor.tokenizer.convert_tokens_to_ids(IMAGE)
    assert image == model.lm_head.out_features == model.config.image_token_index
    assert model.get_input_embeddings().num_embeddings == image + 8


def test_four_bit_weights_are_four_bit_and_stay_trainable_after_evaluation(model: Any) -> None:
    import bitsandbytes

    four_bit = [name for name, part in model.named_modules() if isinstance(part, bitsandbytes.nn.Linear4bit)]
    assert len(four_bit) > 20
    assert "lm_head" not in four_bit
    weight = model.get_submodule(four_bit[0]).weight
    assert weight.quant_type == "nf4"
    assert weight.quant_state.nested
    if hasattr(model.get_submodule(four_bit[0]), "support_avx512bf16_for_cpu"):
        assert not any(model.get_submodule(name).support_avx512bf16_for_cpu for name in four_bit)


def test_every_weight_belongs_to_a_part(model: Any) -> None:
    student = student_of("mllama")
    parts = {student.part_of(name) for name, _ in model.named_parameters()}
    assert parts == {"vision", "projector", "language", "head"}
    with pytest.raises(TrainingError, match=r"'audio\.weight' belongs to no known part of mllama"):
        student.part_of("audio.weight")


def test_layers_and_kinds_are_read_from_names() -> None:
    assert kind_of("model.language_model.layers.3.cross_attn.q_proj") == "attention"
    assert kind_of("model.vision_model.transformer.layers.0.mlp.fc1") == "mlp"
    assert kind_of("model.multi_modal_projector") is None
    assert layer_of("model.language_model.layers.38.mlp.up_proj") == 38
    assert layer_of("lm_head") is None


def test_an_unknown_family_is_named_with_those_that_are_known() -> None:
    with pytest.raises(TrainingError, match=r"no student family for model type 'gpt2'; there are: .*mllama"):
        student_of("gpt2")


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mllama"}')
    with pytest.raises(TrainingError, match="there are no weights here"):
        load(str(tmp_path), None, "nf4")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04\x95")
    with pytest.raises(TrainingError, match=r"'pytorch_model\.bin' is a pickle, which can run code"):
        load(str(tmp_path), None, "nf4")


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_a_hub_checkpoint_needs_its_commit(revision: str | None) -> None:
    with pytest.raises(TrainingError, match="pin its commit"):
        load("someone/some-model", revision, "nf4")


@pytest.mark.parametrize("base", ["nowhere", "./no/where", "/no/where"])
def test_a_folder_that_is_not_there_is_not_asked_of_the_hub(base: str) -> None:
    with pytest.raises(InputError, match="there is no such checkpoint folder"):
        load(base, None, "nf4")


def test_the_prompt_asks_for_ten_steps_and_the_four_headers() -> None:
    prompt = read(path_of("ten-steps"))
    assert prompt.name == "ten-steps@1"
    assert prompt.report_form == "four-header"
    places = [prompt.text.index(f"{header}:") for header in ("Technique", "View", "Findings", "Impression")]
    assert places == sorted(places)
    assert "ten steps" in prompt.text
    with pytest.raises(RecipeError, match=r"no prompt 'haiku'; there are: report-only, .*, ten-steps-verbatim"):
        path_of("haiku")


def test_a_damaged_prompt_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "prompt.yaml").write_text("id: [")
    with pytest.raises(RecipeError, match="not a prompt"):
        read(tmp_path / "prompt.yaml")
    (tmp_path / "prompt.yaml").unlink()
    with pytest.raises(RecipeError, match="cannot be read"):
        read(tmp_path / "prompt.yaml")
