"""Agreement: how far raters of the same items agree, beyond what chance would give. Raters may be people or judges.

    raw       share of pairs of ratings that are equal
    kappa     Cohen's, for two raters (Educ Psychol Meas 20, 1960, 37-46); weighted by distance and its square
              (Psychol Bull 70, 1968, 213-220) where ratings are numbers
    alpha     Krippendorff's, for any number of raters with gaps (Computing Krippendorff's Alpha-Reliability, 2011);
              nominal, or ordinal where ratings are numbers

Both chance-corrected values are low where nearly all ratings are one category, whatever the raters do; so raw agreement
and each rater's distribution come with them. Intervals are 95 % percentiles of a bootstrap over patients: ratings of
one patient hang together. A value that is not defined, as when only one category was used, is None. It knows ratings,
and neither files nor traces.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Value = str | int | float | bool
Table = npt.NDArray[np.float64]  # last two axes: categories by categories
ROUNDS = 2_000
FIRM, TENTATIVE = 0.80, 0.667  # Krippendorff: to rely on; to draw tentative conclusions from


class Rated(NamedTuple):
    """One item: what each rater gave it, None where a rater did not."""

    patient: str
    values: tuple[Value | None, ...]


class Estimate(NamedTuple):
    """A value with its interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two raters."""

    raters: tuple[int, int]
    items: int  # that both rated
    raw: Estimate
    kappa: Estimate
    linear: Estimate | None  # None where ratings are no numbers
    quadratic: Estimate | None
    table: tuple[tuple[int, ...], ...]  # rows: the first rater's categories


@dataclass(frozen=True, slots=True)
class Agreement:
    """All raters."""

    categories: tuple[Value, ...]
    ordinal: bool
    items: int  # with two ratings or more
    patients: int
    distributions: tuple[dict[str, int], ...]  # of each rater
    alpha: Estimate
    pairs: tuple[PairAgreement, ...]


def agreement(rated: Sequence[Rated], *, rounds: int = ROUNDS, seed: int = 0) -> Agreement:
    """How far raters agree on one question.

    Args:
        rated: items; every one with as many values as there are raters.
        rounds: of the bootstrap.
        seed: of the bootstrap; the same ratings give the same intervals.
    """
    raters = len(rated[0].values) if rated else 0
    values = {value for item in rated for value in item.values if value is not None}
    ordinal = bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    categories = tuple(sorted(values, key=lambda v: v if ordinal else str(v)))
    place = {value: at for at, value in enumerate(categories)}
    usable = [item for item in rated if sum(value is not None for value in item.values) > 1]
    shape = (len(categories), len(categories))
    weights = _Weights(usable, rounds, seed)

    def pair(one: int, other: int) -> PairAgreement:
        tables = np.zeros((weights.patients, *shape))
        for item in usable:
            first, second = item.values[one], item.values[other]
            if first is not None and second is not None:
                tables[weights.index[item.patient], place[first], place[second]] += 1
        whole = tables.sum(axis=0)
        distance = _distances(categories) if ordinal else None
        plain = 1.0 - np.eye(len(categories))
        return PairAgreement(
            raters=(one, other),
            items=int(whole.sum()),
            raw=weights.estimate(tables, lambda t: 1.0 - _ratio((t * plain).sum((-1, -2)), t.sum((-1, -2)))),
            kappa=weights.estimate(tables, lambda t: kappa(t, plain)),
            linear=None if distance is None else weights.estimate(tables, lambda t: kappa(t, distance)),
            quadratic=None if distance is None else weights.estimate(tables, lambda t: kappa(t, distance**2)),
            table=tuple(tuple(int(n) for n in row) for row in whole),
        )

    coincidences = np.zeros((weights.patients, *shape))
    for item in usable:
        coincidences[weights.index[item.patient]] += _coincidence([v for v in item.values if v is not None], place)
    return Agreement(
        categories=categories,
        ordinal=ordinal,
        items=len(usable),
        patients=weights.patients,
        distributions=tuple(_distribution(rated, rater, categories) for rater in range(raters)),
        alpha=weights.estimate(coincidences, lambda t: alpha(t, ordinal=ordinal)),
        pairs=tuple(pair(one, other) for one, other in combinations(range(raters), 2)),
    )


def kappa(tables: Table, disagreement: Table) -> Table:
    """Cohen's kappa of contingency tables: 1 minus observed over expected disagreement; NaN where not defined.

    Args:
        tables: [..., categories of one, categories of the other], counts.
        disagreement: weight of each cell, 0 on the diagonal.
    """
    total = tables.sum((-1, -2), keepdims=True)
    expected = tables.sum(-1, keepdims=True) * tables.sum(-2, keepdims=True) / np.where(total, total, 1)
    found: Table = 1.0 - _ratio((tables * disagreement).sum((-1, -2)), (expected * disagreement).sum((-1, -2)))
    return found


def alpha(coincidences: Table, *, ordinal: bool) -> Table:
    """Krippendorff's alpha of coincidence matrices [..., categories, categories]; NaN where not defined."""
    counts = coincidences.sum(-1)
    n = counts.sum(-1)
    size = counts.shape[-1]
    if ordinal:  # all ratings from one category to the other, the ends by half
        upto = np.cumsum(counts, axis=-1)
        middle = upto - counts / 2
        distance = (middle[..., :, None] - middle[..., None, :]) ** 2
    else:
        distance = np.broadcast_to(1.0 - np.eye(size), (*counts.shape, size))
    observed = (coincidences * distance).sum((-1, -2))
    expected = (counts[..., :, None] * counts[..., None, :] * distance).sum((-1, -2))
    found: Table = 1.0 - (n - 1) * _ratio(observed, expected)
    return found


class _Weights:
    """How often each patient is drawn in each round, and what that makes of a statistic."""

    def __init__(self, items: Sequence[Rated], rounds: int, seed: int) -> None:
        self.index = {patient: at for at, patient in enumerate(dict.fromkeys(item.patient for item in items))}
        self.patients = len(self.index)
        self._rounds, self._seed = rounds, seed

    def estimate(self, tables: Table, statistic: Callable[[Table], Table]) -> Estimate:
        """The statistic of all patients' tables together, and its interval."""
        value = _number(statistic(tables.sum(axis=0)))
        if value is None or self.patients < 2:
            return Estimate(value, None, None)
        chance = np.random.default_rng(self._seed)
        found: list[float] = []
        flat = tables.reshape(self.patients, -1)
        for start in range(0, self._rounds, 100):  # in parts: a draw is as long as there are patients
            size = min(100, self._rounds - start)
            drawn = chance.multinomial(self.patients, np.full(self.patients, 1 / self.patients), size=size)
            found += statistic((drawn @ flat).reshape(size, *tables.shape[1:])).tolist()
        defined = [one for one in found if one == one]  # a draw of one category alone has no value
        if len(defined) < self._rounds / 2:
            return Estimate(value, None, None)
        low, high = np.quantile(defined, (0.025, 0.975))
        return Estimate(value, float(low), float(high))


def _coincidence(values: Sequence[Value], place: Mapping[Value, int]) -> Table:
    """Every ordered pair of ratings of one item, weighted so that an item counts as its ratings do."""
    counts = np.bincount([place[value] for value in values], minlength=len(place)).astype(float)
    pairs: Table = (np.outer(counts, counts) - np.diag(counts)) / (len(values) - 1)
    return pairs


def _distances(categories: Sequence[Value]) -> Table:
    numbers = np.array([float(value) for value in categories])
    distance: Table = np.abs(numbers[:, None] - numbers[None, :])
    return distance


def _ratio(part: Table, whole: Table) -> Table:
    nothing = np.isclose(whole, 0)
    return np.where(nothing, np.nan, part / np.where(nothing, 1, whole))


def _number(value: Table) -> float | None:
    return None if np.isnan(value) else float(value)


def _distribution(rated: Sequence[Rated], rater: int, categories: Sequence[Value]) -> dict[str, int]:
    counts = Counter(item.values[rater] for item in rated)
    return {str(category): counts[category] for category in categories}


def by_question(
    raters: Sequence[Mapping[str, Mapping[str, Value]]], patients: Mapping[str, str]
) -> dict[str, list[Rated]]:
    """Ratings of several raters, as items for each question that two of them answered.

    Args:
        raters: for each, item to question to value.
        patients: item to patient; the item itself where no file names one.
    """
    found: dict[str, dict[str, list[Value | None]]] = defaultdict(dict)
    for at, ratings in enumerate(raters):
        for item, answers in ratings.items():
            for question, value in answers.items():
                found[question].setdefault(item, [None] * len(raters))[at] = value
    return {
        question: [Rated(patients.get(item, item), tuple(values)) for item, values in items.items()]
        for question, items in found.items()
        if sum(any(values[at] is not None for values in items.values()) for at in range(len(raters))) > 1
    }
