"""How sure a figure is: bootstrap intervals by patient, and an approximate randomisation test between two students.

Patients are drawn, not reports, because reports of one patient are alike. The test swaps both students' reports of a
patient with probability one half (Noreen 1989) and asks how often the difference becomes as large as the observed one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...data.statistics import bootstrap, by_patient
from .measure import Floats, Measure

RESAMPLES = 2000
_CHUNK = 4_000_000  # cells of a block of draws, some 32 MB


class Bounds(NamedTuple):
    """Percentile bounds."""

    low: float
    high: float


class Comparison(NamedTuple):
    """How far two students' figures differ."""

    difference: float  # the first's figure less the second's
    p: float  # two-sided; never 0, since only so many shuffles were tried
    interval: Bounds | None  # of the difference, 95 %, both students drawn for the same patients


def interval(measure: Measure, patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0) -> Bounds | None:
    """Percentile bootstrap of 95 % over patients; none for a single patient, of whom nothing can be drawn.

    Args:
        measure: over pairs.
        patients: whose each pair is.
        resamples: draws.
        seed: of the draws.
    """
    bounds = bootstrap(by_patient(measure.stats, patients), measure.value, rounds=resamples, seed=seed)
    return None if bounds is None else Bounds(*bounds)


def compare(
    one: Measure, other: Measure, patients: Sequence[str], *, shuffles: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Test whether two students differ on the same pairs.

    Args:
        one, other: the same metric, computed the same way, with pairs in the same order.
        patients: whose each pair is.
        shuffles: how many exchanges are tried.
        seed: of the exchanges.
    """
    assert one.identity == other.identity and one.stats.shape == other.stats.shape
    observed = one.point - other.point
    first, second = by_patient(one.stats, patients), by_patient(other.stats, patients)
    total, gap = first.sum(axis=0) + second.sum(axis=0), second - first
    dice = np.random.default_rng(seed)
    extreme = 0
    for n in _chunks(shuffles, len(first)):
        swapped = first.sum(axis=0) + dice.integers(0, 2, size=(n, len(first))) @ gap
        differences = one.value(swapped) - one.value(total - swapped)
        extreme += int((np.abs(differences) >= abs(observed) - 1e-12).sum())
    return Comparison(observed, (extreme + 1) / (shuffles + 1), _paired(one, other, first, second, shuffles, seed))


def _paired(one: Measure, other: Measure, first: Floats, second: Floats, draws: int, seed: int) -> Bounds | None:
    """Bootstrap of the difference: each draw takes both students' sums of the same patients."""
    width = first.shape[1]

    def difference(totals: Floats) -> Floats:
        return one.value(totals[:, :width]) - other.value(totals[:, width:])

    bounds = bootstrap(np.hstack((first, second)), difference, rounds=draws, seed=seed)
    return None if bounds is None else Bounds(*bounds)


def _chunks(total: int, width: int) -> Iterator[int]:
    size = max(1, _CHUNK // width)
    for start in range(0, total, size):
        yield min(size, total - start)
