"""Other families than Llama 3.2 Vision: the same line, tiny, from preflight to sampled answers."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import transformers
from distill_parts import accepted_run, filmed
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.pixels import open_image
from tenstep.distill.sample import plan, sample
from tenstep.distill.shape import on_meta, processor_of
from tenstep.distill.student import student_of
from tenstep.distill.train.collator import IGNORED, CompletionCollator
from tenstep.distill.train.lora import expected, targets
from tenstep.distill.train.preflight import preflight
from tenstep.distill.train.train import distill
from tenstep.schemas.errors import TrainingError
from tenstep.schemas.learning import Lora, Optimizer
from tenstep.schemas.recipe import DistillRecipe
from tiny_students import BUILDERS

BOTH = Lora(r=4, parts=("vision", "language"))
FAMILIES = [
    "gemma3",
    "idefics3",
    pytest.param(
        "qwen2_5_vl",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("torchvision") is None, reason="Qwen's processor needs torchvision"
        ),
    ),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StudyStore:
    return filmed(tmp_path_factory.mktemp("families"), 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: StudyStore) -> Path:
    return accepted_run(store, tmp_path_factory.mktemp("run") / "run")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_goes_the_whole_way(family: str, store: StudyStore, run: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    BUILDERS[family](base, [study.report for study in store])
    try:
        processor = processor_of(str(base), None)
    except TrainingError as error:  # Idefics 3 in the older tested set
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
        max_new_tokens=1500,
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


def config_of(family: str) -> Any:
    from transformers import Gemma3Config, Idefics3Config, Qwen2_5_VLConfig

    if family == "idefics3":  # its own default lies outside its vocabulary in the older tested set
        return Idefics3Config(text_config={"model_type": "llama", "pad_token_id": 0}, pad_token_id=0)
    return {"gemma3": Gemma3Config, "qwen2_5_vl": Qwen2_5_VLConfig}[family]()


@pytest.mark.parametrize("family", sorted(BUILDERS))
def test_every_weight_of_a_family_has_its_part_and_every_layer_its_adapters(family: str) -> None:
    model, student = on_meta(config_of(family)), student_of(family)
    parts = {student.part_of(name) for name, _ in model.named_parameters()}
    assert {"vision", "projector", "language"} <= parts
    chosen = targets(model, student, BOTH)
    for part, depth in (("vision", layers(model.config.vision_config)), ("language", layers(model.config.text_config))):
        kinds = {name.rpartition(".")[2] for name in chosen if student.part_of(name) == part}
        of_part = [name for name in chosen if student.part_of(name) == part]
        assert len(of_part) == depth * len(kinds), (part, kinds)
    assert not [name for name in chosen if student.part_of(name) == "projector"]
    top = expected(model, student, Lora(r=4, top_layers=1))
    assert top["language"] * layers(model.config.text_config) == expected(model, student, Lora(r=4))["language"]


def layers(config: Any) -> int:
    return int(getattr(config, "num_hidden_layers", None) or config.depth)
