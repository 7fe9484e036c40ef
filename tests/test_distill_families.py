"""Families of students: the same line, tiny, from preflight to merged weights; and the true shapes, without weights."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import transformers
from distill_student import run, store
from tenstep.data.store.studies import StudyStore
from tenstep.distill.shape import on_meta, processor_of, shape_of, shipped_config, shipped_shapes
from tenstep.distill.student import student_of
from tenstep.distill.train.lora import expected, targets
from tenstep.distill.train.memory import estimate
from tenstep.schemas.distill_recipe import DistillRecipe, Shape
from tenstep.schemas.errors import MissingExtraError
from tenstep.schemas.learning import Lora
from tiny_students import BUILDERS, write_converter
from tiny_video_students import WITH_VIDEO
from whole_way import BOTH, whole_way

__all__ = ["run", "store"]  # fixtures

WANTED = {"torchvision==0.28.0": "torchvision/version.py", "num2words==0.5.14": "num2words/__init__.py"}
WEIGHTS = {  # as the checkpoints' pages say
    "InternVL3-8B-hf": 7_944_373_760,
    "Llama-3.2-11B-Vision-Instruct": 10_670_220_835,
    "Qwen3-VL-8B-Instruct": 8_767_123_696,
    "SmolVLM2-2.2B-Instruct": 2_246_784_880,
    "llava-onevision-qwen2-7b-ov-hf": 8_030_807_584,
    "medgemma-1.5-4b-it": 4_300_079_472,
}


@pytest.mark.parametrize("family", sorted(BUILDERS))
def test_a_family_goes_the_whole_way(family: str, store: StudyStore, run: Path, tmp_path: Path) -> None:
    converter = tmp_path / "convert.py" if family == "gemma3" else None
    if converter is not None:
        write_converter(converter)
    try:
        whole_way(family, store, run, tmp_path, converter)
    except MissingExtraError:  # Idefics 3 in the older tested set
        pytest.skip(f"transformers {transformers.__version__} reads this family's images with torchvision only")
    if converter is not None:
        from safetensors import safe_open

        files = {name: (tmp_path / "merged" / name).read_text() for name in ("model.gguf", "mmproj.gguf")}
        assert files == {"model.gguf": "language", "mmproj.gguf": "vision"}
        assert (tmp_path / "merged" / "tokenizer.model").read_bytes() == b"of SentencePiece"
        with safe_open(tmp_path / "merged" / "model.safetensors", "pt") as weights:  # the names that it reads
            assert any(name.startswith("vision_tower.vision_model.encoder.") for name in weights.keys())  # noqa: SIM118  no mapping


@pytest.fixture(scope="module")
def with_torchvision(tmp_path_factory: pytest.TempPathFactory, wheel_file: Any) -> dict[str, str]:
    """What became of the families that want torchvision, in a process that has it: here it would break plain scripts
    of transformers, because its wheel does not fit a torch without CUDA (distill/libraries.py)."""
    folder = tmp_path_factory.mktemp("videos")
    wheels = [next(wheel_file(name, member).parent.glob("*.whl")) for name, member in WANTED.items()]
    path = os.pathsep.join(map(str, [*wheels, Path(__file__).parent]))
    words = [sys.executable, "-W", "error", str(Path(__file__).parent / "whole_way.py"), str(folder), *WITH_VIDEO]
    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(WITH_VIDEO))
def test_a_family_that_reads_videos_goes_the_whole_way(family: str, with_torchvision: dict[str, str]) -> None:
    assert not with_torchvision[family], with_torchvision[family]


def test_a_processor_that_wants_torchvision_says_how_to_get_it(tmp_path: Path) -> None:
    if importlib.util.find_spec("torchvision") is not None:
        pytest.skip("torchvision is here")
    BUILDERS["gemma3"](tmp_path, ["The heart is normal."])
    parts = {
        "processor_class": "Qwen3VLProcessor",
        "image_processor": {"image_processor_type": "Qwen2VLImageProcessor"},
        "video_processor": {"video_processor_type": "Qwen3VLVideoProcessor"},
    }
    (tmp_path / "processor_config.json").write_text(json.dumps(parts))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_vl"}))
    with pytest.raises(
        MissingExtraError, match=r"torchvision, which this student's processor needs, .*\[torchvision\]"
    ):
        processor_of(str(tmp_path), None)


@pytest.mark.parametrize("family", sorted(BUILDERS | WITH_VIDEO))
def test_every_weight_of_a_family_has_its_part_and_every_layer_its_adapters(family: str) -> None:
    model, student = on_meta(config_of(family)), student_of(family)
    parts = {student.part_of(name) for name, _ in model.named_parameters()}
    assert {"vision", "projector", "language"} <= parts
    every_layer_has_adapters(model, family)
    top = expected(model, student, Lora(r=4, top_layers=1))
    assert top["language"] * layers(model.config.text_config) == expected(model, student, Lora(r=4))["language"]


def config_of(family: str) -> Any:
    if family in ("idefics3", "smolvlm"):  # their own default lies outside their vocabulary in the older tested set
        text = {"model_type": "llama", "pad_token_id": 0}
        return transformers.AutoConfig.for_model(family, text_config=text, pad_token_id=0)
    return transformers.AutoConfig.for_model(family)


def every_layer_has_adapters(model: Any, family: str) -> None:
    """As many adapters in each layer of vision and language, and none in the projector."""
    student = student_of(family)
    chosen = targets(model, student, BOTH)
    for part, depth in (("vision", layers(model.config.vision_config)), ("language", layers(model.config.text_config))):
        of_part = [name for name in chosen if student.part_of(name) == part]
        kinds = {name.rpartition(".")[2] for name in of_part}
        assert len(of_part) == depth * len(kinds), (part, kinds)
    assert not [name for name in chosen if student.part_of(name) == "projector"]


def layers(config: Any) -> int:
    return int(getattr(config, "num_hidden_layers", None) or config.depth)


def test_the_shapes_that_ship_are_those_that_a_recipe_may_name() -> None:
    assert shipped_shapes() == sorted(get_args(Shape)) == sorted(WEIGHTS)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_a_shape_that_ships_has_as_many_weights_as_its_checkpoint(name: str) -> None:
    shape = shape_of(f"models/{name}", None)
    assert shape is not None and not shape.own and shape.name == name
    assert shape.model.num_parameters() == WEIGHTS[name]
    if name != "Llama-3.2-11B-Vision-Instruct":  # its layers differ: some look at the image
        every_layer_has_adapters(shape.model, shape.student.model_type)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_the_memory_of_a_shape_grows_with_the_batch_and_with_what_learns_of_vision(name: str) -> None:
    model = on_meta(shipped_config(name))

    def activations(**fields: Any) -> int:
        fields = {"kind": "distill", "name": "s", "base": "b", "steps": 1, "gradient_checkpointing": True} | fields
        return estimate(model, DistillRecipe(**fields), 1000, 2048).activations_mb

    one = activations(batch=1)
    assert 200 < one < activations(batch=2) <= 2 * one + 1
    assert one < activations(batch=1, lora=BOTH)
