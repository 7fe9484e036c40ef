"""Evaluations in a model card: checked to be of these weights, and written as tables that name each implementation."""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from ...data.evaluations import described, read_evaluation
from ...schemas.errors import InputError
from ...schemas.evaluation import Evaluation
from ..evaluate.table import markdown_table
from ..train.run_card import RunCard
from .merge_card import MergedCard


def identities(card: RunCard, merged: MergedCard | None) -> set[str]:
    """What a sampling run calls these weights: the adapter with its base, and the merged weights."""
    quantize = card.recipe.get("quantize")
    parts = [f"{card.base_sha256}{card.adapter_sha256}{quantize}"]
    parts += [f"merged{merged.weights_sha256}"] if merged is not None else []
    return {hashlib.sha256(part.encode()).hexdigest() for part in parts}


def read(paths: Iterable[Path], of: Collection[str]) -> list[Evaluation]:
    """Evaluations of a student.

    Args:
        paths: what `tenstep evaluate` wrote: folders, or their evaluation.json.
        of: what the student's weights are called.

    Raises:
        InputError: one cannot be read, or is of another model.
    """
    found = []
    for path in paths:
        evaluation = read_evaluation(path)
        if evaluation.student.model_sha256 not in of:
            whose = evaluation.student.model or "a model that it does not name"
            raise InputError(f"is of {whose}, not of these weights; evaluate these, or leave it out", file=path)
        found.append(evaluation)
    return found


def section(evaluations: Iterable[Evaluation]) -> list[str]:
    """The card's lines about them; empty without any."""
    lines: list[str] = []
    for evaluation in evaluations:
        at = evaluation.student.temperature
        how = "" if at is None else " Greedy answers." if at == 0 else f" Answers at temperature {at:g}."
        lines += [described(evaluation) + how, "", *markdown_table(evaluation), ""]
        lines += [*(f"- {note}" for note in evaluation.notes), ""]
    return ["## Evaluation", "", *lines] if lines else []
