"""Agreement: how far raters of the same items agree, beyond what chance would give. Raters may be people or judges.

    raw       share of pairs of ratings that are equal
    kappa     Cohen's, for two raters; weighted by distance and its square where ratings are numbers
    alpha     Krippendorff's, for any number of raters with gaps; nominal, or ordinal where ratings are numbers

Both chance-corrected values are low where nearly all ratings are one category, whatever the raters do; so raw agreement
and each rater's distribution stand with them. Intervals are 95 % percentiles of a bootstrap over patients: ratings of
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

from ...data.statistics import alpha, bootstrap, kappa, ratio

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

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        interval = "" if self.low is None else f" ({self.low:.2f} to {self.high:.2f})"
        return f"{self.value:.2f}{interval}"


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
class RaterAgreement:
    """All raters."""

    categories: tuple[Value, ...]
    ordinal: bool
    items: int  # with two ratings or more
    patients: int
    distributions: tuple[dict[str, int], ...]  # of each rater
    alpha: Estimate
    pairs: tuple[PairAgreement, ...]


def agreement(rated: Sequence[Rated], *, rounds: int = ROUNDS, seed: int = 0) -> RaterAgreement:
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
        distances = _distances(categories) if ordinal else None
        plain = 1.0 - np.eye(len(categories))
        return PairAgreement(
            raters=(one, other),
            items=int(whole.sum()),
            raw=weights.estimate(tables, lambda t: 1.0 - ratio((t * plain).sum((-1, -2)), t.sum((-1, -2)))),
            kappa=weights.estimate(tables, lambda t: kappa(t, plain)),
            linear=None if distances is None else weights.estimate(tables, lambda t: kappa(t, distances)),
            quadratic=None if distances is None else weights.estimate(tables, lambda t: kappa(t, distances**2)),
            table=tuple(tuple(int(n) for n in row) for row in whole),
        )

    coincidences = np.zeros((weights.patients, *shape))
    for item in usable:
        coincidences[weights.index[item.patient]] += _coincidence([v for v in item.values if v is not None], place)
    return RaterAgreement(
        categories=categories,
        ordinal=ordinal,
        items=len(usable),
        patients=weights.patients,
        distributions=tuple(_distribution(rated, rater, categories) for rater in range(raters)),
        alpha=weights.estimate(coincidences, lambda t: alpha(t, ordinal=ordinal)),
        pairs=tuple(pair(one, other) for one, other in combinations(range(raters), 2)),
    )


class _Weights:
    """How often each patient is drawn in each round, and what that makes of a statistic."""

    def __init__(self, items: Sequence[Rated], rounds: int, seed: int) -> None:
        self.index = {patient: at for at, patient in enumerate(dict.fromkeys(item.patient for item in items))}
        self.patients = len(self.index)
        self._rounds, self._seed = rounds, seed

    def estimate(self, tables: Table, statistic: Callable[[Table], Table]) -> Estimate:
        """The statistic of all patients' tables together, and its interval."""
        value = _number(statistic(tables.sum(axis=0)))
        bounds = None if value is None else bootstrap(tables, statistic, rounds=self._rounds, seed=self._seed)
        return Estimate(value, *(bounds or (None, None)))


def _coincidence(values: Sequence[Value], place: Mapping[Value, int]) -> Table:
    """Every ordered pair of ratings of one item, weighted so that an item counts as its ratings do."""
    counts = np.bincount([place[value] for value in values], minlength=len(place)).astype(float)
    pairs: Table = (np.outer(counts, counts) - np.diag(counts)) / (len(values) - 1)
    return pairs


def _distances(categories: Sequence[Value]) -> Table:
    numbers = np.array([float(value) for value in categories])
    distances: Table = np.abs(numbers[:, None] - numbers[None, :])
    return distances


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
        patients: item to patient; an item without one is a patient of its own.
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
