"""Training and validation examples of a recipe: split by patient, and free of every declared test set.

A run gives ten steps and the report, from its accepted examples; study stores give the report alone (stage 1). This
file knows studies and targets, and nothing of tokens.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ...data.selection import examples_of
from ...data.splitting.splits import SplitRecipe, read_splits
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, TrainingError
from ...schemas.recipe import DistillRecipe
from ...schemas.study import Study
from ..prompt import Prompt
from .held_out import check_held_out


class TrainingExample(NamedTuple):
    """One study, and the text that the student is trained to write about it."""

    study: Study
    store: StudyStore
    target: str
    key: str  # of the candidate it came from; the study's id for a reference
    sentences: tuple[str, ...]  # the steps' texts, or the report's lines

    @property
    def patient(self) -> tuple[str, str]:
        """The patient; those of two sources are never the same."""
        return self.study.source, self.study.patient_id


@dataclass(frozen=True)
class TrainingExamples:
    """All examples of a recipe, in their order."""

    train: tuple[TrainingExample, ...]
    validation: tuple[TrainingExample, ...]

    @property
    def all(self) -> tuple[TrainingExample, ...]:
        """Both."""
        return self.train + self.validation

    @property
    def restricted(self) -> bool:
        """Whether any text among them may not leave."""
        return any(example.study.data_class == "restricted" for example in self.all)

    @property
    def sha256(self) -> str:
        """Identity of the data: keys, targets, image hashes, and whether they train or validate."""
        digest = hashlib.sha256()
        for side in (self.train, self.validation):
            for example in side:
                images = [image.sha256 for image in example.study.images]
                digest.update(json.dumps([example.study.id, example.key, example.target, images]).encode())
            digest.update(b"\n")
        return digest.hexdigest()


def load_examples(recipe: DistillRecipe, run: Path | None, prompt: Prompt) -> TrainingExamples:
    """Read what the recipe names, and split it into training and validation.

    Args:
        recipe: which data.
        run: a run folder, or a selection of runs; none if the recipe names study stores.
        prompt: the student's instruction; it must ask for what the targets are.

    Raises:
        TrainingError: prompt and targets do not agree, a side is empty, or a test study is among them.
        PolicyError: the run may not be used for training.
        InputError, RunError, RecipeError: something cannot be read.
    """
    steps = run is not None
    if prompt.steps != steps:
        raise TrainingError(
            f"prompt {prompt.name} asks for {'ten steps and the report' if prompt.steps else 'a report alone'}, but "
            f"the targets are {'ten steps and the report' if steps else 'reports alone'}; choose another prompt",
            field="prompt",
        )
    found = list(islice(_of_run(run) if run is not None else _of_stores(recipe.studies), recipe.limit))
    if not found:
        raise TrainingError("no accepted example to learn from; curate more, or look at the rejected ones")
    examples = _split(recipe, found)
    stores = {example.store.root: example.store for example in found}.values()
    check_held_out([example.study for example in examples.all], recipe.test_sets, stores)
    return examples


def _of_run(path: Path) -> Iterator[TrainingExample]:
    for example, store, _ in examples_of(path):
        yield TrainingExample(example.study, store, example.target, example.provenance.key, example.trace.texts)


def _of_stores(paths: Iterable[str]) -> Iterator[TrainingExample]:
    for path in paths:
        store = StudyStore.open(path)
        for study in store:
            yield TrainingExample(study, store, study.report, study.id, tuple(study.report.splitlines()))


def _split(recipe: DistillRecipe, found: list[TrainingExample]) -> TrainingExamples:
    """By patient, never by row: two films of one patient are too alike to be on both sides."""
    if recipe.splits is not None:
        splits = read_splits(Path(recipe.splits))
        for example in found:
            if example.study.source not in splits.sources:
                raise InputError(f"says nothing of source '{example.study.source}'; split again", file=recipe.splits)
        places = [splits.of(example.study) for example in found]
    else:
        drawn = SplitRecipe.model_validate({"seed": recipe.split_seed, "test": 0.0, "validate": recipe.validation})
        places = [drawn.place(example.study, frozenset()) for example in found]
        own = [example.study.id for example, place in zip(found, places, strict=True) if place == "test"]
        if own:
            raise TrainingError(
                f"{len(own)} studies are of their source's own test split (the first is '{own[0]}'); leave them out "
                "with splits: see tenstep split",
                field="splits",
            )
        if not recipe.validation:  # without a validation set, the source's own is trained on as well
            places = ["train"] * len(found)
    train = tuple(example for example, place in zip(found, places, strict=True) if place == "train")
    validation = tuple(example for example, place in zip(found, places, strict=True) if place == "validate")
    shared = {example.patient for example in train} & {example.patient for example in validation}
    if shared:
        raise TrainingError(
            f"{len(shared)} patients are in training and in validation: their source split them by study"
        )
    if not train or (recipe.validation and not validation):
        raise TrainingError(
            f"the split leaves {len(train)} examples for training and {len(validation)} for validation; "
            "change the share or the split_seed",
            field="validation",
        )
    return TrainingExamples(train, validation)
