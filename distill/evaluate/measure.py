"""Measure: one metric over many pairs, as statistics that add up, so that any resample can be scored in one sum.

    value(stats.sum(axis=0))    the metric over all pairs

BLEU's counts, METEOR's matches, a label's true and false positives and a mean's sum all add up over pairs, so the
bootstrap (uncertainty.py) never runs a metric twice. It knows no texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Pair(NamedTuple):
    """A hypothesis and its reference; `patient` groups pairs that are not independent."""

    id: str
    patient: str
    hypothesis: str
    reference: str


@dataclass(frozen=True)
class Measure:
    """A metric over pairs.

    Args:
        name: as papers call it, e.g. BLEU-4.
        implementation: the package that computes it, or tenstep.
        version: that package's.
        preprocessing: what was done to the texts, in words.
        stats: shape (pairs, k); their sum over pairs decides the metric.
        value: from sums of shape (..., k) to values of shape (...).
        reported: the package's own figure over all pairs, where it gives one.
        label: the finding that it is about; none for a metric over all.
        remarks: what happened on the way, e.g. that texts were cut. They do not decide whether figures compare.
    """

    name: str
    implementation: str
    version: str
    preprocessing: str
    stats: Floats
    value: Callable[[Floats], Floats]
    reported: float | None = None
    label: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def point(self) -> float:
        """The metric over all pairs."""
        return float(self.value(self.stats.sum(axis=0))) if self.reported is None else self.reported

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Two figures may be compared only if these are equal."""
        return self.name, self.implementation, self.version, self.preprocessing


MeasureOf = Callable[[Sequence[Pair]], Measure]  # of any of the pairs whose texts were scored before


def ratio(above: Floats, below: Floats) -> Floats:
    """`above / below`, and 0 where nothing is below."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below != 0)


def mean_of(scores: Sequence[float] | Floats) -> Floats:
    """Statistics of a metric that is the mean of its pairs' scores, for `mean`."""
    values = np.asarray(scores, dtype=np.float64)
    return np.stack([values, np.ones_like(values)], axis=1)


def mean(sums: Floats) -> Floats:
    """Value of `mean_of` statistics."""
    return ratio(sums[..., 0], sums[..., 1])
