"""Families of students: the same line, tiny, from preflight to merged weights; and the true shapes, without weights."""

import importlib.util
from pathlib import Path
from typing import Any, get_args

import pytest
import transformers
from distill_parts import accepted_run, filmed, steps
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.pixels import open_image
from tenstep.distill.publish.merge import merge
from tenstep.distill.sample import plan, sample
from tenstep.distill.shape import on_meta, processor_of, shape_of, shipped_config, shipped_shapes
from tenstep.distill.student import student_of
from tenstep.distill.train.collator import IGNORED, CompletionCollator
from tenstep.distill.train.lora import expected, targets
from tenstep.distill.train.memory import estimate
from tenstep.distill.train.preflight import preflight
from tenstep.distill.train.train import distill
from tenstep.schemas.errors import MissingExtraError, TrainingError
from tenstep.schemas.recipe import DistillRecipe, Lora, Optimizer, Shape
from tiny_students import BUILDERS
from tiny_video_students import WITH_VIDEO

BOTH = Lora(r=4, parts=("vision", "language"))
NUM2WORDS = "num2words==0.5.14"
WEIGHTS = {  # as the checkpoints' pages say
    "InternVL3-8B-hf": 7_944_373_760,
    "Llama-3.2-11B-Vision-Instruct": 10_670_220_835,
    "Qwen3-VL-8B-Instruct": 8_767_123_696,
    "SmolVLM2-2.2B-Instruct": 2_246_784_880,
    "llava-onevision-qwen2-7b-ov-hf": 8_030_807_584,
    "medgemma-1.5-4b-it": 4_300_079_472,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return filmed(tmp_path_factory.mktemp("families"), 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: StudyStore) -> Path:
    return accepted_run(store, tmp_path_factory.mktemp("run") / "run")


@pytest.mark.parametrize("family", sorted(BUILDERS))
def test_a_family_goes_the_whole_way(family: str, store: StudyStore, run: Path, tmp_path: Path) -> None:
    whole_way(family, store, run, tmp_path)


@pytest.mark.parametrize("family", sorted(set(WITH_VIDEO) - {"smolvlm"}))
def test_a_family_that_reads_videos_goes_the_whole_way(
    family: str, store: StudyStore, run: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torchvision")
    whole_way(family, store, run, tmp_path)


@pytest.mark.slow
def test_smolvlm_goes_the_whole_way(
    store: StudyStore,
    run: Path,
    tmp_path: Path,
    wheel_file: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torchvision")
    if importlib.util.find_spec("num2words") is None:
        code = wheel_file(NUM2WORDS, "num2words/__init__.py")
        monkeypatch.syspath_prepend(next(code.parent.glob("*.whl")))
    whole_way("smolvlm", store, run, tmp_path)


def whole_way(family: str, store: StudyStore, run: Path, tmp_path: Path) -> None:
    """Preflight, training, labels, sampled answers, merged weights."""
    base = tmp_path / "base"
    (BUILDERS | WITH_VIDEO)[family](base, [text for study in store for text in (study.report, steps(study))] * 2)
    try:
        processor = processor_of(str(base), None)
    except (TrainingError, MissingExtraError) as error:  # Idefics 3 in the older tested set
        if "torchvision" not in str(error):
            raise
        pytest.skip(f"transformers {transformers.__version__} reads this family's images with torchvision only")
    recipe = DistillRecipe(
        kind="distill",
        name=family.replace("_", "-"),
        base=str(base),
        steps=6,
        optimizer=Optimizer(learning_rate=0.02),
        batch=2,
        log_every=1,
        max_new_tokens=220,
        lora=BOTH,
        report_to=(),
    )
    looked = preflight(recipe, run)
    card = distill(recipe, run, tmp_path / "out")
    assert looked.unchecked == ()
    assert card.preflight.trainable == looked.trainable and set(looked.trainable) == {"vision", "language"}
    assert card.preflight.conversation == looked.conversation
    assert card.losses[-1].loss < card.losses[0].loss

    assert processor is not None
    collate = CompletionCollator(processor, None, open_image)
    study = next(iter(store))
    batch = collate(
        [{"study": "s", "image": str(store.path_of(study.images[0])), "prompt": "Report.", "target": study.report}]
    )
    learned = batch["labels"][0][batch["labels"][0] != IGNORED]
    assert processor.tokenizer.decode(learned, skip_special_tokens=True).strip() == study.report.strip()

    asked = plan(tmp_path / "out", name="s", temperatures=[0.0], n=1, max_new_tokens=8, limit=3, seed=0)
    manifest = sample(asked, store, tmp_path / "samples", batch=3)
    with RunFolder.read(tmp_path / "samples") as samples:
        assert manifest.counts["attempts"] == len(list(samples.judged())) == 3

    merged = merge(tmp_path / "out", tmp_path / "merged", rows=1)
    assert merged.model_type == family and merged.top1 is not None and merged.top1 > 0.97


@pytest.mark.parametrize("family", sorted(BUILDERS | WITH_VIDEO))
def test_every_weight_of_a_family_has_its_part_and_every_layer_its_adapters(family: str) -> None:
    model, student = on_meta(config_of(family)), student_of(family)
    parts = {student.part_of(name) for name, _ in model.named_parameters()}
    assert {"vision", "projector", "language"} <= parts
    every_layer_has_adapters(model, family)
    top = expected(model, student, Lora(r=4, top_layers=1))
    assert top["language"] * layers(model.config.text_config) == expected(model, student, Lora(r=4))["language"]


def config_of(family: str) -> Any:
    if family == "idefics3":  # its own default lies outside its vocabulary in the older tested set
        return transformers.Idefics3Config(text_config={"model_type": "llama", "pad_token_id": 0}, pad_token_id=0)
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
