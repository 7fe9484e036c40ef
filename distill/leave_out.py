"""What a student would be without a group of its traces: approximated by gradients, or found out by training again.

Both are about the loss of held-out traces: those of the training's validation patients, or of another run.

    influence   the sum over the group's traces of the dot product of their gradient and that of the held-out loss,
                in the student as it is (TracIn at the last checkpoint: Pruthi et al. 2020): by how much one more step
                on the group, of learning rate 1, would lower the held-out loss. Positive helps. A first-order guess.
    delta       the held-out loss of a student that was trained without the group less that of the student: exact, one
                training a group, with the same base, steps and seed. Positive: the group helped. Fewer rows for as
                many steps are seen more often. `noise` is the same for a student of another seed without anything left
                out; a delta that is no larger says nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from ..data.recipes import read_recipe
from ..schemas.base import Noun
from ..schemas.distill_recipe import DistillRecipe
from ..schemas.errors import InputError
from . import adapter
from .attribute import row_losses
from .libraries import quiet
from .load import Loaded
from .pixels import open_image
from .train.collator import CompletionCollator, TrainingRow
from .train.examples import TrainingExample, pool
from .train.folder import BASE, read_rows
from .train.preflight import TINY
from .train.rows import rows_of
from .train.run_card import RunCard
from .train.train import distill

Groups = Mapping[str, Mapping[str, Sequence[str]]]  # by kind and value: keys of traces
_KIND = ("lora_", "modules_to_save")


class LeftOut(Noun):
    """A group of the traces that were trained on."""

    rows: int
    influence: float = Field(description="Positive helps; see distill/leave_out.py.")
    delta: float | None = Field(None, description="Of the held-out loss, in nats a token; none without retraining.")


class LeftOuts(Noun):
    """All groups."""

    held_out: int = Field(description="Traces that the loss is measured on.")
    loss: float = Field(description="Of the student on them, in nats a token.")
    noise: float | None = Field(None, description="What another seed changes in that loss; none without retraining.")
    groups: dict[str, dict[str, LeftOut]]


class _Sides(NamedTuple):
    train: list[TrainingExample]
    held_out: list[TrainingExample]


def leave_out(
    run: Path,
    student: Path,
    groups: Groups,
    *,
    held_out: Path | None = None,
    retrain: Path | None = None,
    batch: int = 8,
    on_progress: Callable[[str, int, int], object] = lambda _what, _done, _all: None,
) -> LeftOuts:
    """Measure.

    Args:
        run: the curation run that the student was trained on.
        student: the folder of the training.
        groups: keys of traces by kind and value; those that were not trained on are not counted.
        held_out: a run of other studies; by default the training's own validation traces.
        retrain: where a student is trained without each group; none to approximate only. Goes on where it was.
        batch: rows at once.
        on_progress: called with what is done, how much of it, and how much there is.

    Raises:
        InputError: nothing is held out, or it was trained on; there is no training here.
        RunError, TrainingError, PolicyError: run or student cannot be used.
    """
    folder = adapter.find(student)
    card, prompt = adapter.describe(folder)
    sides = _sides(run, folder.parent, held_out)
    train, others = rows_of(sides.train, prompt), rows_of(sides.held_out, prompt)
    with quiet():
        loaded = adapter.load_student(folder, card)
        collate = CompletionCollator(loaded.processor, None, open_image)
        loss = mean_loss(loaded, collate, others, batch)
        pulls = influences(loaded, collate, train, others, lambda done, total: on_progress("influence", done, total))
    by_key = {example.key: pull for example, pull in zip(sides.train, pulls, strict=True)}
    kept = {
        kind: {value: mine for value, keys in values.items() if (mine := [key for key in keys if key in by_key])}
        for kind, values in groups.items()
    }
    again = (
        _retrained(kept, run, folder.parent, others, retrain, batch, len(sides.train), on_progress) if retrain else {}
    )
    return LeftOuts(
        held_out=len(others),
        loss=round(loss, 5),
        noise=round(abs(again[""] - loss), 5) if "" in again else None,
        groups={
            kind: {
                value: LeftOut(
                    rows=len(keys),
                    influence=round(sum(by_key[key] for key in keys), 6),
                    delta=round(again[name] - loss, 5) if (name := _name(kind, value)) in again else None,
                )
                for value, keys in values.items()
            }
            for kind, values in kept.items()
        },
    )


def mean_loss(loaded: Loaded, collate: CompletionCollator, rows: Sequence[TrainingRow], batch: int) -> float:
    """Mean over rows of the mean loss of their target's tokens, in nats."""
    parts = (rows[start : start + batch] for start in range(0, len(rows), batch))
    return sum(loss for some in parts for loss in row_losses(loaded, collate, some)) / len(rows)


def influences(
    loaded: Loaded,
    collate: CompletionCollator,
    rows: Sequence[TrainingRow],
    held_out: Sequence[TrainingRow],
    on_progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> list[float]:
    """By row, the dot product of its loss's gradient and that of the held-out rows' mean loss.

    Args:
        loaded: a student with its adapter.
        collate: rows to batches.
        rows: traces that were trained on.
        held_out: traces that were not.
        on_progress: called with rows that are done, and how many there are.
    """
    import torch

    model = loaded.model.eval()
    learned = [weight for name, weight in model.named_parameters() if any(part in name for part in _KIND)]
    for weight in learned:
        weight.requires_grad_(True)
    total = len(rows) + len(held_out)

    def gradient(row: TrainingRow) -> list[torch.Tensor]:
        loss = model(**loaded.placed(collate([row]))).loss
        found = torch.autograd.grad(loss, learned, allow_unused=True)
        return [torch.zeros_like(w) if g is None else g.float() for g, w in zip(found, learned, strict=True)]

    wanted = [torch.zeros_like(weight, dtype=torch.float32) for weight in learned]
    for done, row in enumerate(held_out, 1):
        wanted = [whole + part / len(held_out) for whole, part in zip(wanted, gradient(row), strict=True)]
        on_progress(done, total)
    found = []
    for done, row in enumerate(rows, 1):
        found.append(float(sum((a * b).sum() for a, b in zip(gradient(row), wanted, strict=True))))
        on_progress(len(held_out) + done, total)
    return found


def _sides(run: Path, training: Path, held_out: Path | None) -> _Sides:
    """What was trained on, by rows.jsonl but for what was left out as too long, and what is held out."""
    dropped = frozenset(RunCard.read(training).preflight.dropped)
    written = [row for row in read_rows(training) if row["study"] not in dropped]
    source = read_recipe(training / "recipe.yaml", DistillRecipe).traces.source
    examples = {example.key: example for example in pool(run, source)}
    train = [examples[row["key"]] for row in written if row["side"] == "train" and row["key"] in examples]
    if not train:
        raise InputError(
            "holds no trace that this student was trained on; name the run that it was trained on", file=run
        )
    if held_out is None:
        rest = [examples[row["key"]] for row in written if row["side"] == "validation" and row["key"] in examples]
        if not rest:
            raise InputError(
                "trained without a validation set, so nothing is held out; give a run of other studies with --held-out",
                file=training,
            )
        return _Sides(train, rest)
    rest = list(pool(held_out, "accepted"))
    patients = {example.patient for example in train}
    shared = [example.study.id for example in rest if example.patient in patients]
    if shared or not rest:
        raise InputError(
            f"{len(shared)} of its patients were trained on (study '{shared[0]}')"
            if shared
            else "holds no accepted trace",
            file=held_out,
        )
    return _Sides(train, rest)


def _retrained(
    groups: Groups,
    run: Path,
    training: Path,
    held_out: Sequence[TrainingRow],
    out: Path,
    batch: int,
    rows: int,
    on_progress: Callable[[str, int, int], object],
) -> dict[str, float]:
    """The held-out loss of students without each group, by name; of one with another seed and all rows under ''."""
    recipe = read_recipe(training / "recipe.yaml", DistillRecipe)
    if recipe.base == TINY:
        recipe = recipe.model_copy(update={"base": str((training / BASE).resolve())})
    arms = {"": recipe.model_copy(update={"seed": recipe.seed + 1})}
    for kind, values in groups.items():
        for value, keys in values.items():
            if len(keys) < rows:  # without all of them there is nothing to train on
                traces = recipe.traces.model_copy(update={"without": tuple(sorted(keys))})
                arms[_name(kind, value)] = recipe.model_copy(update={"traces": traces})
    found = {}
    for done, (name, arm) in enumerate(arms.items()):
        on_progress("retrain", done, len(arms))
        folder = out / (name or "another-seed")
        distill(arm, run, folder, resume=True)
        place = adapter.find(folder)
        with quiet():
            loaded = adapter.load_student(place, adapter.describe(place)[0])
            collate = CompletionCollator(loaded.processor, None, open_image)
            found[name] = mean_loss(loaded, collate, held_out, batch)
    on_progress("retrain", len(arms), len(arms))
    return found


def _name(kind: str, value: str) -> str:
    return f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', value).strip('-').lower()}"
