"""Which rows an arm of an ablation is trained on: equally many, in one order of studies, and balanced if wanted.

The order is a hash of seed and study, so arms whose pools overlap train on the same studies as far as they can.

Rejecting traces changes the mix of cases: studies with findings are rejected more often. `balance` mends that. Rows are
weighted so that each of the 14 labels is as frequent among their references as among all studies that were asked about
(raking: Deming and Stephan 1940), then n of them are drawn systematically along the weights, rows of the same labels
side by side; a row of a large weight stands more than once. A label that no row has cannot be mended.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...schemas.errors import TrainingError
from ...schemas.learning import Traces
from ...schemas.study import Study
from ..evaluate.finding_f1 import positive

_ROUNDS = 200  # of raking; it has converged long before where it can


class Drawn(Protocol):
    """A row: whatever is about a study."""

    @property
    def study(self) -> Study: ...


RowT = TypeVar("RowT", bound=Drawn)


def draw(rows: Sequence[RowT], traces: Traces, population: Callable[[], Sequence[Study]]) -> list[RowT]:
    """The rows that are trained on.

    Args:
        rows: the pool.
        traces: how many, in which order, balanced or not.
        population: called for a balanced draw: all studies that were asked about.

    Raises:
        TrainingError: there are fewer rows than are wanted.
    """
    if traces.n is None:
        return list(rows)
    ordered = sorted(rows, key=lambda row: _place(traces.seed, row.study.id))
    if traces.balance:
        ordered.sort(key=lambda row: labels_of(row.study))
        weights = raked(_table([row.study for row in ordered]), _table(population()).mean(axis=0))
        places = np.searchsorted(weights.cumsum(), (np.arange(traces.n) + 0.5) / traces.n * weights.sum())
        return [ordered[at] for at in places.clip(max=len(ordered) - 1)]
    if len(ordered) < traces.n:
        raise TrainingError(
            f"{traces.n} rows are wanted, and the run has {len(ordered)} of source '{traces.source}'; ask for fewer",
            field="traces.n",
        )
    return ordered[: traces.n]


def labels_of(study: Study) -> tuple[bool, ...]:
    """Which of the 14 labels its reference has."""
    return tuple(positive(study.report))


def raked(labels: NDArray[np.bool_], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights under which each label has its target share.

    Args:
        labels: shape (rows, labels).
        target: the share of each label, shape (labels,).

    Returns:
        shape (rows,), with mean 1.
    """
    weights = np.ones(len(labels))
    for _ in range(_ROUNDS):
        for at, share in enumerate(target):
            has = labels[:, at]
            if not 0 < share < 1 or not has.any() or has.all():
                continue
            now = weights[has].sum() / weights.sum()
            weights *= np.where(has, share / now, (1 - share) / (1 - now))
    mean: float = weights.mean()
    result: NDArray[np.float64] = weights / mean
    return result


def _table(studies: Sequence[Study]) -> NDArray[np.bool_]:
    return np.array([labels_of(study) for study in studies], dtype=np.bool_)


def _place(seed: int, study_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{study_id}".encode()).digest()
