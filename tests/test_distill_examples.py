"""What is trained on and what validates: refusals that keep test studies and patients apart. No model is needed."""

from pathlib import Path
from typing import Any

import pytest
from curation_parts import make_store
from servers.studies import make_study
from tenstep.data.splitting.splits import SplitRecipe, resolve, write_splits
from tenstep.distill.prompt import path_of, read
from tenstep.distill.train.examples import TrainingExamples, load_examples
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import InputError, TrainingError
from tenstep.schemas.study import Study


def examples(folder: Path, studies: list[Study], **fields: Any) -> TrainingExamples:
    """Of a store of these studies, for a student of reports alone."""
    store = make_store(folder / "studies", studies)
    recipe = {"kind": "distill", "name": "t", "base": "b", "steps": 1, "studies": (str(store.root),)} | fields
    return load_examples(DistillRecipe.model_validate(recipe), None, read(path_of("report-only")))


def published(*splits: str) -> list[Study]:
    return [make_study(str(number), split=split) for number, split in enumerate(splits)]


def test_without_a_validation_set_all_but_a_test_split_is_trained_on(tmp_path: Path) -> None:
    found = examples(tmp_path, published("train", "validate"), validation=0.0)
    assert [one.study.id for one in found.train] == ["t/0", "t/1"] and found.validation == ()
    with pytest.raises(TrainingError, match=r"1 studies are of their source's own test split \(the first is 't/1'\)"):
        examples(tmp_path / "test", published("train", "test"), validation=0.0)


def test_a_patient_on_both_sides_is_refused(tmp_path: Path) -> None:
    one, other = published("train", "validate")
    with pytest.raises(TrainingError, match="1 patients are in training and in validation"):
        examples(tmp_path, [one, other.model_copy(update={"patient_id": one.patient_id})], validation=0.5)


def test_splits_of_other_sources_are_refused(tmp_path: Path) -> None:
    here, path = published("train", "validate"), tmp_path / "splits.yaml"
    made = resolve(SplitRecipe.model_validate({}), [here])
    write_splits(made, path)
    assert len(examples(tmp_path / "same", here, splits=str(path)).train) == 1
    write_splits(made.model_copy(update={"sources": {"other": made.sources["t"]}}), path)
    with pytest.raises(InputError, match="says nothing of source 't'"):
        examples(tmp_path / "other", here, splits=str(path))
