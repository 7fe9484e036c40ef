"""Before step one: counts against the recipe, lengths, images, tests kept apart; what is not at hand is named."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from distill_parts import accepted_run, changed, filmed, ingested, recipe_on
from distill_student import PHANTOMS, base, run, store
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.recipes import read_recipe
from tenstep.data.splitting.splits import SplitRecipe, resolve, write_splits
from tenstep.data.store.studies import StudyStore
from tenstep.distill.load import load
from tenstep.distill.prompt import path_of, read
from tenstep.distill.train.backend import choose
from tenstep.distill.train.examples import load_examples
from tenstep.distill.train.preflight import preflight
from tenstep.distill.train.tiny import build
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import ImageError, InputError, PolicyError, TenstepError, TrainingError
from tenstep.schemas.learning import Lora
from tenstep.schemas.policy import PolicyDecision

__all__ = ["base", "run", "store"]  # fixtures

RECIPES = Path(__file__).parent.parent / "examples" / "recipes"
TEN = read(path_of("ten-steps"))


@pytest.fixture(scope="module")
def recipe(base: Path) -> DistillRecipe:
    return recipe_on(base, steps=2, max_new_tokens=300, lora=Lora(r=4, parts=("vision", "language")))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("stage2-as-run", {"language": 8_519_680, "vision": 3_276_800}),
        ("stage2", {"language": 2_555_904}),
        ("stage1", {"language": 104_857_600}),
    ],
)
def test_the_shipped_recipes_are_counted_without_weights_or_data(
    name: str,
    counts: dict[str, int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["distill", str(RECIPES / f"{name}.yaml"), "--preflight", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["trainable"] == counts
    assert found["weights"] == 10_670_220_835
    assert found["shape"] == "Llama-3.2-11B-Vision-Instruct"
    assert any(text.startswith("weights: ") for text in found["unchecked"])
    assert any("test set 'studies/splits.yaml' is not at hand" in text for text in found["unchecked"])
    assert 6_000 < found["memory"]["weights_mb"] < 8_000  # 4 bits a weight, and embeddings of 16
    assert list(tmp_path.iterdir()) == []


def test_everything_at_hand_is_looked_at_and_nothing_is_written(recipe: DistillRecipe, run: Path) -> None:
    before = sorted(path.name for path in run.iterdir() if "journal" not in path.name)
    found = preflight(changed(recipe, validation=0.3, split_seed=2), run)
    assert found.unchecked == ()
    assert found.examples + found.validation == found.images == PHANTOMS
    assert 0 < found.validation == found.patients_validation
    assert found.conversation is not None and found.target is not None
    assert found.conversation.median <= found.conversation.p95 <= found.conversation.p99 <= found.conversation.longest
    assert len(found.shown) == 3 and all("Impression:" in text and text.startswith("1. ") for text in found.shown)
    assert set(found.trainable) == {"vision", "language"}
    assert sorted(path.name for path in run.iterdir() if "journal" not in path.name) == before


def test_the_tiny_student_is_counted_with_its_own_tokenizer(recipe: DistillRecipe, run: Path) -> None:
    found = preflight(changed(recipe, base="tiny"), run)
    assert found.shape == "tiny" and found.unchecked == () and found.target is not None


def test_an_image_of_the_last_example_is_missed_before_step_one(recipe: DistillRecipe, tmp_path: Path) -> None:
    run = accepted_run(filmed(tmp_path, 3), tmp_path / "run")
    (tmp_path / "films" / "demo-00002" / "image.png").unlink()
    with pytest.raises(ImageError, match="study 'folders/demo-00002': the image cannot be opened"):
        preflight(recipe, run)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_new_tokens": 50}, r"8 targets have more than the 50 tokens of max_new_tokens, where sampling stops"),
        (
            {"max_length": 200},
            r"8 examples have more than the 200 tokens of max_length \(up to \d+: 'folders/demo-00000'",
        ),
        ({"prompt": "report-only"}, "asks for a report alone, but the targets are ten steps and the report"),
        ({"lora": {"top_layers": 9}}, "there are 3 language layers"),
        ({"lora": {"whole": ["lm_tail"]}}, "the model has no module 'lm_tail'"),
        ({"validation": 0.001}, "the split leaves 8 examples for training and 0 for validation"),
    ],
)
def test_a_mismatch_is_one_line(recipe: DistillRecipe, run: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(TenstepError, match=message) as caught:
        preflight(changed(recipe, **fields), run)
    assert "\n" not in str(caught.value)


def test_reports_alone_are_learned_from_study_stores(recipe: DistillRecipe, store: StudyStore) -> None:
    stage1 = changed(recipe, studies=[str(store.root)], prompt="report-only")
    found = preflight(stage1, None)
    assert found.examples == PHANTOMS and found.unchecked == ()
    assert all(text.startswith("Technique: ") for text in found.shown)
    with pytest.raises(TrainingError, match="asks for ten steps and the report, but the targets are reports alone"):
        preflight(changed(stage1, prompt="ten-steps"), None)


def test_patients_are_on_one_side_and_the_seed_decides_which(recipe: DistillRecipe, run: Path) -> None:
    sides = []
    for seed in (1, 1, 2):
        examples = load_examples(changed(recipe, validation=0.4, split_seed=seed), run, TEN)
        train, validation = ({example.patient for example in side} for side in (examples.train, examples.validation))
        assert not train & validation
        sides.append(validation)
    assert sides[0] == sides[1] != sides[2]


def test_splits_leave_their_test_out(recipe: DistillRecipe, run: Path, store: StudyStore, tmp_path: Path) -> None:
    splits = resolve(SplitRecipe.model_validate({"seed": 3, "test": 0.3, "validate": 0.3}), [store])
    write_splits(splits, tmp_path / "splits.yaml")
    path = str(tmp_path / "splits.yaml")
    examples = load_examples(changed(recipe, splits=path, test_sets=[path]), run, TEN)
    places = {study.id: splits.of(study) for study in store}
    assert {"train", "validate", "test"} == set(places.values())
    assert {example.study.id for example in examples.train} == {
        id_ for id_, place in places.items() if place == "train"
    }
    assert {example.study.id for example in examples.validation} == {
        i for i, place in places.items() if place == "validate"
    }
    with pytest.raises(TrainingError, match="it is test there"):
        load_examples(changed(recipe, test_sets=[path]), run, TEN)


def test_what_a_test_set_shares_stops_the_run(
    recipe: DistillRecipe, run: Path, store: StudyStore, tmp_path: Path
) -> None:
    other = write_folders(tmp_path / "films", 2, first_seed=500, size=64, defects=False)
    apart = ingested(tmp_path / "apart", other)
    load_examples(changed(recipe, test_sets=[str(apart.root)]), run, TEN)
    with pytest.raises(TrainingError, match=r"8 studies are in this test set .* 'folders/demo-00000': the same study"):
        load_examples(changed(recipe, test_sets=[str(apart.root), str(store.root)]), run, TEN)
    first = next(iter(store))
    for fields, why in (({"id": "x/1"}, "the same patient"), ({"id": "x/1", "patient_id": "x"}, "the same image")):
        root = tmp_path / why
        with StudyStore.create(root, "made") as writer:
            path = str(store.path_of(first.images[0]))
            images = tuple(image.model_copy(update={"path": path}) for image in first.images)
            writer.add(first.model_copy(update={"images": images, **fields}))
        with pytest.raises(TrainingError, match=rf"1 studies are in this test set .*'{first.id}': {why}"):
            load_examples(changed(recipe, test_sets=[str(root)]), run, TEN)
    (tmp_path / "test.ids").write_text("folders/demo-00003\n")
    with pytest.raises(TrainingError, match="'folders/demo-00003': it is listed there"):
        load_examples(changed(recipe, test_sets=[str(tmp_path / "test.ids")]), run, TEN)
    for written in ("\ufefffolders/demo-00003 \r\n", "demo-00003\n", "other/demo-00003\n"):
        (tmp_path / "test.ids").write_text(written)
        with pytest.raises(TrainingError, match="'folders/demo-00003': it is listed there"):
            load_examples(changed(recipe, test_sets=[str(tmp_path / "test.ids")]), run, TEN)
    for written in ("00017\n", "folders/film-3\n", "made-up/1\n"):
        (tmp_path / "test.ids").write_text(written)
        with pytest.raises(InputError, match="nothing can be compared"):
            load_examples(changed(recipe, test_sets=[str(tmp_path / "test.ids")]), run, TEN)
    (tmp_path / "test.ids").write_text("mimic-cxr/s50414267\n")  # a source that is known, and is not at hand
    found = load_examples(changed(recipe, test_sets=[str(tmp_path / "test.ids")]), run, TEN)
    assert "1 of 1 ids name no study of the stores (first: mimic-cxr/s50414267)" in found.unmatched[0]
    with pytest.raises(InputError, match="there is no such test set"):
        load_examples(changed(recipe, test_sets=["nowhere"]), run, TEN)


def test_a_run_that_may_not_be_trained_on_is_refused(recipe: DistillRecipe, store: StudyStore, tmp_path: Path) -> None:
    policy = PolicyDecision(
        data_class="public", decided=str(date(2026, 1, 1)), endpoints=(), training=False, reason="nobody attests it"
    )
    run = accepted_run(store, tmp_path / "run", policy)
    with pytest.raises(PolicyError, match="may not be used for training: nobody attests it"):
        preflight(recipe, run)


def test_restricted_text_stays_out_of_what_travels(recipe: DistillRecipe, store: StudyStore, tmp_path: Path) -> None:
    run = accepted_run(filmed(tmp_path, 2, data_class="restricted"), tmp_path / "run")
    found = preflight(recipe, run)
    assert found.restricted and found.shown
    assert found.public.shown == ()


def test_a_processor_of_another_model_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "a", ["The heart is normal."] * 3)
    build(tmp_path / "b", ["A quite different vocabulary: small left pleural effusion."] * 3)
    assert load(str(tmp_path / "a"), None, "none").processor is not None
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    with pytest.raises(TrainingError, match="its processor marks images with token"):
        load(str(tmp_path / "a"), None, "none")
    for file in (tmp_path / "a").glob("*processor*"):
        file.unlink()
    with pytest.raises(TrainingError, match="no processor that can be loaded"):
        load(str(tmp_path / "a"), None, "none")


def test_the_backend_is_chosen_with_a_reason() -> None:
    import torch

    assert choose("hf") == ("hf", "the recipe says so")
    if not torch.cuda.is_available():
        assert choose("auto") == ("hf", "there is no CUDA here, which unsloth needs")
        with pytest.raises(TrainingError, match="unsloth needs CUDA"):
            choose("unsloth")


def test_every_shipped_recipe_names_a_prompt_that_fits_its_data() -> None:
    for path in (RECIPES / f"{name}.yaml" for name in ("stage1", "stage2", "stage2-as-run")):
        recipe = read_recipe(path, DistillRecipe)
        assert read(path_of(recipe.prompt)).steps == (not recipe.studies)


def test_a_report_about_several_images_is_not_silently_paired_with_one(recipe: DistillRecipe, tmp_path: Path) -> None:
    films = write_folders(tmp_path / "films", 2, size=64, defects=False)
    first = next(iter(sorted(films.iterdir())))
    (first / "image-lateral.png").write_bytes((first / "image.png").read_bytes())
    (first / "image.png").rename(first / "image-frontal.png")
    found = list(films.glob("*/image*.png"))
    assert len(found) == 3
    for image in first.glob("image-*.png"):
        image.rename(first / f"image.{image.stem[6:]}.png")
    several = ingested(tmp_path / "studies", films)
    looked = preflight(recipe, accepted_run(several, tmp_path / "run"))
    assert looked.one_of_several == 1
