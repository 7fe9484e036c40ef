"""Training and validation examples of a recipe: split by patient, and free of every declared test set.

A run gives ten steps and the report, from its accepted examples; study stores give the report alone (stage 1). This
file knows studies and targets, and nothing of tokens.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...data.run import RunFolder
from ...data.selection import examples_of, runs_of
from ...data.splitting.splits import SplitRecipe, read_splits
from ...data.store.studies import StudyStore
from ...schemas.candidate import Candidate
from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import InputError, LayoutError, TrainingError
from ...schemas.layout import write
from ...schemas.study import Study
from ...schemas.trace import STEPS, WrittenLayout
from ..prompt import Prompt
from ..publish import merge_card
from .drawing import draw
from .held_out import check_held_out
from .pairs import RejectedText, rejected_texts


class TrainingExample(NamedTuple):
    """One study, and the text that the student is trained to write about it."""

    study: Study
    store: StudyStore
    target: str
    key: str  # of the candidate it came from; the study's id for a reference
    sentences: tuple[str, ...]  # the steps' texts, or the report's lines
    rejected: tuple[RejectedText, ...] = ()  # texts about the study that it is to be preferred to

    @property
    def patient(self) -> tuple[str, str]:
        """The patient; those of two sources are never the same."""
        return self.study.source, self.study.patient_id


@dataclass(frozen=True)
class TrainingExamples:
    """All examples of a recipe, in their order."""

    train: tuple[TrainingExample, ...]
    validation: tuple[TrainingExample, ...]
    unmatched: tuple[str, ...] = ()  # what of the declared test sets names no study at hand, in words
    inherits: bool = False  # the base was trained on restricted data, whose terms hold for what is trained on it

    @property
    def all(self) -> tuple[TrainingExample, ...]:
        """Both."""
        return self.train + self.validation

    def without(self, studies: Collection[str]) -> "TrainingExamples":
        """The others."""
        train, validation = (
            tuple(one for one in side if one.study.id not in studies) for side in (self.train, self.validation)
        )
        return replace(self, train=train, validation=validation)

    def ordered_as(self, rows: Iterable[Mapping[str, Any]]) -> "TrainingExamples":
        """The same in the order of a rows.jsonl; those that it does not list come last."""
        places = {(row["study"], row["key"]): at for at, row in enumerate(rows)}
        train, validation = (
            tuple(sorted(side, key=lambda one: places.get((one.study.id, one.key), len(places))))
            for side in (self.train, self.validation)
        )
        return replace(self, train=train, validation=validation)

    @property
    def restricted(self) -> bool:
        """Whether any text among them, or what the base has learned, may not leave."""
        return self.inherits or any(example.study.data_class == "restricted" for example in self.all)

    @property
    def rows(self) -> list[dict[str, object]]:
        """Which rows train and validate, and with what weight: one that stands twice has weight 2."""
        counts = Counter(
            (side, example.study.id, example.key, example.rejected)
            for side, examples in (("train", self.train), ("validation", self.validation))
            for example in examples
        )
        return [
            {"side": side, "study": study, "key": key, "weight": n}
            | ({"rejected": {one.key: one.rules for one in rejected}} if rejected else {})
            for (side, study, key, rejected), n in counts.items()
        ]

    @property
    def sha256(self) -> str:
        """Identity of the data: keys, targets, image hashes, and whether they train or validate."""
        digest = hashlib.sha256()
        for side in (self.train, self.validation):
            for example in side:
                images = [image.sha256 for image in example.study.images]
                rejected = [[one.text for one in example.rejected]] if example.rejected else []
                digest.update(json.dumps([example.study.id, example.key, example.target, images, *rejected]).encode())
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
    steps = recipe.method == "grpo" or (run is not None and recipe.traces.source != "reports")
    if prompt.steps != steps:
        wanted = "ten steps and the report" if steps else "reports alone"
        raise TrainingError(
            f"prompt {prompt.name} asks for {'ten steps and the report' if prompt.steps else 'a report alone'}, but "
            f"{'the reward is for' if recipe.method == 'grpo' else 'the targets are'} {wanted}; choose another prompt",
            field="prompt",
        )
    rows = pool(run, recipe.traces.source) if run is not None else _of_stores(recipe.studies)
    found = list(islice(rows, recipe.limit))
    if run is not None and recipe.method == "dpo":
        rejected = rejected_texts(run, recipe.preference)
        found = [one._replace(rejected=rejected[one.study.id]) for one in found if one.study.id in rejected]
    if not found:
        raise TrainingError("no accepted example to learn from; curate more, or look at the rejected ones")
    if run is not None:
        found = draw(found, recipe.traces, lambda: [example.study for example in pool(run, "first")])
    examples = _split(recipe, found)
    stores = {example.store.root: example.store for example in found}.values()
    compared = check_held_out([example.study for example in examples.all], recipe.test_sets, stores)
    base = merge_card.of_base(recipe.base)
    return replace(
        examples,
        unmatched=tuple(str(one) for one in compared if one.unknown),
        inherits=base is not None and base.restricted,
    )


def pool(path: Path, source: Literal["accepted", "first", "first-accepted", "reports"]) -> Iterator[TrainingExample]:
    """The rows of a run that a recipe's `traces.source` names, one a study, in the order of the study store.

    Raises:
        PolicyError: the run may not be used for training.
        RunError, InputError: it cannot be read.
    """
    if source in ("accepted", "reports"):
        for example, store, _ in examples_of(path):
            study = example.study
            if source == "accepted":
                yield TrainingExample(study, store, example.target, example.provenance.key, example.trace.texts)
            else:
                yield TrainingExample(study, store, study.report, study.id, tuple(study.report.splitlines()))
        return
    done: set[str] = set()
    for folder in runs_of(path):
        with RunFolder.read(folder) as run:
            run.check_training()
            layout = run.manifest.recipe.get("layout", "plain")
            for candidate, verdict in run.judged(by_study=True):
                if candidate.attempt > 1 or candidate.study_id in done:
                    continue
                done.add(candidate.study_id)
                if source == "first" or verdict.accepted:
                    study = run.studies.get(candidate.study_id)
                    yield TrainingExample(study, run.studies, *_unfiltered(candidate, study, layout))


def _unfiltered(candidate: Candidate, study: Study, layout: WrittenLayout) -> tuple[str, str, tuple[str, ...]]:
    """Target, key and texts of an answer, whatever the rules say; one that is not ten steps is taken as it stands."""
    trace = candidate.trace
    if trace is not None and [step.number for step in trace.steps] == list(range(1, STEPS + 1)):
        with suppress(LayoutError):  # a step may be empty
            return write(trace.texts, study.report, layout), candidate.key, trace.texts
    text = candidate.text.strip()
    target = text if candidate.writes_report else f"{text}\n\n{study.report}"
    return target, candidate.key, tuple(filter(None, text.splitlines()))


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
    train = tuple(
        example
        for example, place in zip(found, places, strict=True)
        if place == "train" and example.key not in recipe.traces.without
    )
    validation = tuple(example for example, place in zip(found, places, strict=True) if place == "validate")
    shared = {example.patient for example in train} & {example.patient for example in validation}
    if shared:
        raise TrainingError(
            f"{len(shared)} patients are in training and in validation: their source split them by study"
        )
    validates = recipe.validation or recipe.patience is not None or recipe.method == "grpo"
    if not train or (validates and not validation):
        raise TrainingError(
            f"the split leaves {len(train)} examples for training and {len(validation)} for validation; "
            + ("split again, with patients to validate on" if recipe.splits else "change the share or the split_seed"),
            field="splits" if recipe.splits else "validation",
        )
    return TrainingExamples(train, validation)
