"""What is learned and what is watched: the targets of a recipe, apart by patient, with nothing of any test in them.

A run gives ten steps and the report, from its accepted examples; study stores give the report alone (stage 1). It
knows studies and targets, and nothing of tokens.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ...data.run import RunFolder
from ...data.splitting.splits import SplitRecipe, read_splits
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, TrainingError
from ...schemas.recipe import DistillRecipe
from ...schemas.study import Study
from ..prompt import Prompt
from .held_out import check_apart


class Lesson(NamedTuple):
    """One target."""

    study: Study
    store: StudyStore
    target: str
    key: str  # of the candidate it came from; the study's id for a reference
    sentences: tuple[str, ...]  # the steps' texts, or the report's lines

    @property
    def patient(self) -> tuple[str, str]:
        """Whose it is; patients of two sources are never the same."""
        return self.study.source, self.study.patient_id


@dataclass(frozen=True)
class Lessons:
    """All targets of a recipe, in their order."""

    train: tuple[Lesson, ...]
    validation: tuple[Lesson, ...]

    @property
    def all(self) -> tuple[Lesson, ...]:
        """Both."""
        return self.train + self.validation

    @property
    def restricted(self) -> bool:
        """Whether any text among them may not leave."""
        return any(lesson.study.data_class == "restricted" for lesson in self.all)

    @property
    def sha256(self) -> str:
        """Identity of what is learned and watched: keys, targets, image hashes, and on which side they are."""
        digest = hashlib.sha256()
        for side in (self.train, self.validation):
            for lesson in side:
                images = [image.sha256 for image in lesson.study.images]
                digest.update(json.dumps([lesson.study.id, lesson.key, lesson.target, images]).encode())
            digest.update(b"\n")
        return digest.hexdigest()


def gather(recipe: DistillRecipe, run: Path | None, prompt: Prompt) -> Lessons:
    """Read and part what the recipe names.

    Args:
        recipe: which data.
        run: a run folder; none if the recipe names study stores.
        prompt: what the student will be asked for; it must be what the targets are.

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
    lessons = _parted(recipe, found)
    check_apart([lesson.study for lesson in lessons.all], recipe.test_sets)
    return lessons


def _of_run(path: Path) -> Iterator[Lesson]:
    with RunFolder.read(path) as run:
        run.check_training()
        for example in run.accepted():
            yield Lesson(example.study, run.studies, example.target, example.provenance.key, example.trace.texts)


def _of_stores(paths: Iterable[str]) -> Iterator[Lesson]:
    for path in paths:
        store = StudyStore.open(path)
        for study in store:
            yield Lesson(study, store, study.report, study.id, tuple(study.report.splitlines()))


def _parted(recipe: DistillRecipe, found: list[Lesson]) -> Lessons:
    """By patient, never by row: two films of one patient are too alike to judge each other."""
    if recipe.splits is not None:
        splits = read_splits(Path(recipe.splits))
        for lesson in found:
            if lesson.study.source not in splits.sources:
                raise InputError(f"says nothing of source '{lesson.study.source}'; split again", file=recipe.splits)
        places = [splits.of(lesson.study) for lesson in found]
    else:
        drawn = SplitRecipe.model_validate({"seed": recipe.split_seed, "test": 0.0, "validate": recipe.validation})
        places = [drawn.place(lesson.study, frozenset()) for lesson in found]
        own = [lesson.study.id for lesson, place in zip(found, places, strict=True) if place == "test"]
        if own:
            raise TrainingError(
                f"{len(own)} studies are of their source's own test split (the first is '{own[0]}'); leave them out "
                "with splits: see tenstep split",
                field="splits",
            )
        if not recipe.validation:  # a split that its source calls validation is learned as well
            places = ["train"] * len(found)
    train = tuple(lesson for lesson, place in zip(found, places, strict=True) if place == "train")
    validation = tuple(lesson for lesson, place in zip(found, places, strict=True) if place == "validate")
    shared = {lesson.patient for lesson in train} & {lesson.patient for lesson in validation}
    if shared:
        raise TrainingError(f"{len(shared)} patients are both learned and watched: their source split them by study")
    if not train or (recipe.validation and not validation):
        raise TrainingError(
            f"the split leaves {len(train)} examples to learn and {len(validation)} to watch; change the share or the "
            "split_seed",
            field="validation",
        )
    return Lessons(train, validation)
