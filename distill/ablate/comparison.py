"""The arms side by side: every figure with its interval, and every arm against the first one, paired by study.

Intervals and tests draw patients (evaluate/uncertainty.py); answers of several seeds about one patient are drawn
together. McNemar's test counts studies that only one of two arms got right; it is made for each seed, because answers
of several seeds about one study are no independent pairs.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from pydantic import Field

from ...data.statistics import mcnemar
from ...schemas.base import Noun
from ...schemas.version import __version__
from ..evaluate.measure import Floats, Measure, mean
from ..evaluate.uncertainty import compare, interval
from .outcomes import Outcomes


class ArmFigure(Noun):
    """One arm's figure, over all seeds."""

    value: float
    low: float | None = Field(None, description="Of 95 %, by patient.")
    high: float | None = None
    by_seed: tuple[float, ...]
    studies: int = Field(description="That it is about; of findings, the studies whose reference has them.")


class Paired(Noun):
    """One arm against the first, in one figure."""

    difference: float
    low: float | None = None
    high: float | None = None
    p: float = Field(description="Approximate randomisation by patient, two-sided.")
    better: tuple[int, ...] = Field((), description="By seed: studies that only this arm got right.")
    worse: tuple[int, ...] = Field((), description="By seed: studies that only the first arm got right.")
    mcnemar: tuple[float, ...] = Field((), description="By seed: exact two-sided p.")


class FigureRow(Noun):
    """One figure of all arms that have it."""

    figure: str
    arms: dict[str, ArmFigure]
    against_first: dict[str, Paired] = Field(default_factory=dict)


def rows_of(arms: Mapping[str, Sequence[Outcomes]], *, resamples: int) -> tuple[FigureRow, ...]:
    """Compare.

    Args:
        arms: each arm's outcomes, one a seed; all on the same studies, in the same order.
        resamples: draws of patients.
    """
    first = next(iter(arms))
    names = dict.fromkeys(name for found in arms.values() for name in found[0].figures)
    return tuple(_row(name, first, arms, resamples) for name in names)


def _row(name: str, first: str, arms: Mapping[str, Sequence[Outcomes]], resamples: int) -> FigureRow:
    having = {arm: found for arm, found in arms.items() if name in found[0].figures}
    values = {arm: _value(name, found, resamples) for arm, found in having.items()}
    paired = {
        arm: _paired(name, found, having[first], resamples)
        for arm, found in having.items()
        if arm != first and first in having
    }
    return FigureRow(figure=name, arms=values, against_first=paired)


def _value(name: str, found: Sequence[Outcomes], resamples: int) -> ArmFigure:
    measure, patients = _measure(name, found)
    bounds = interval(measure, patients, resamples=resamples) or (None, None)
    by_seed = tuple(float(mean(one.figures[name].sum(axis=0))) for one in found)
    studies = int((found[0].figures[name][:, 1] > 0).sum())
    return ArmFigure(value=measure.point, low=bounds[0], high=bounds[1], by_seed=by_seed, studies=studies)


def _paired(name: str, found: Sequence[Outcomes], first: Sequence[Outcomes], resamples: int) -> Paired:
    (one, patients), (other, _) = _measure(name, found), _measure(name, first)
    test = compare(one, other, patients, shuffles=resamples)
    low, high = test.interval or (None, None)
    counts = [_discordant(a.figures[name], b.figures[name]) for a, b in zip(found, first, strict=True)]
    binary = all(counts)
    return Paired(
        difference=test.difference,
        low=low,
        high=high,
        p=test.p,
        better=tuple(pair[0] for pair in counts if pair) if binary else (),
        worse=tuple(pair[1] for pair in counts if pair) if binary else (),
        mcnemar=tuple(mcnemar(*pair) for pair in counts if pair) if binary else (),
    )


def _measure(name: str, found: Sequence[Outcomes]) -> tuple[Measure, list[str]]:
    stats = np.concatenate([one.figures[name] for one in found])
    patients = [patient for one in found for patient in one.patients]
    return Measure(name, "tenstep", __version__, "none", stats, partial(mean)), patients


def _discordant(one: Floats, other: Floats) -> tuple[int, int] | None:
    """Studies that only the first, or only the second got right; none where a study counts more than once."""
    if one[:, 1].max(initial=0) > 1:
        return None
    return int((one[:, 0] > other[:, 0]).sum()), int((one[:, 0] < other[:, 0]).sum())
