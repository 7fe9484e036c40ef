"""Intervals and agreement: against worked tables, other implementations, and what must hold for any numbers."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.data.statistics import alpha, bootstrap, by_patient, kappa, wilson

ratings = st.lists(st.lists(st.one_of(st.none(), st.integers(1, 4)), min_size=3, max_size=3), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_wilson_gives_the_published_intervals(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe, Stat Med 17, 1998, 857-872, table I."""
    found = wilson(hits, of)
    assert (found.share, round(found.low, 4), round(found.high, 4)) == (hits / of, low, high)


def test_fewer_independent_trials_make_a_wider_interval() -> None:
    assert wilson(0, 0) == (0.0, 0.0, 1.0)
    alone, together = wilson(50, 100), wilson(50, 100, trials=10)
    assert together.low < alone.low < alone.high < together.high
    assert alone == wilson(50, 100, trials=100)


def test_what_is_counted_of_one_patient_is_drawn_together() -> None:
    values = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    sums = by_patient(values, ["b", "b", "a", "a"])
    assert sums.tolist() == [[0.0, 2.0], [2.0, 2.0]]

    def mean(totals: np.ndarray) -> np.ndarray:
        found: np.ndarray = totals[:, 0] / totals[:, 1]
        return found

    assert bootstrap(sums, mean, rounds=400) == (0.0, 1.0)
    assert bootstrap(sums, mean, rounds=400) == bootstrap(sums, mean, rounds=400)
    assert bootstrap(sums[:1], mean, rounds=400) is None
    assert bootstrap(sums, lambda totals: np.full(len(totals), np.nan), rounds=400) is None


def coincidences(rows: list[list[int | None]], size: int) -> np.ndarray:
    table = np.zeros((size, size))
    for row in rows:
        given = [value - 1 for value in row if value is not None]
        if len(given) > 1:
            counts = np.bincount(given, minlength=size).astype(float)
            table += (np.outer(counts, counts) - np.diag(counts)) / (len(given) - 1)
    return table


@settings(deadline=None)
@given(ratings, st.booleans())
def test_alpha_is_that_of_the_package_krippendorff(rows: list[list[int | None]], ordinal: bool) -> None:
    krippendorff = pytest.importorskip("krippendorff", reason="compared with where it is installed")
    table = coincidences(rows, 4)
    ours = float(alpha(table, ordinal=ordinal))
    data = np.array([[math.nan if value is None else value for value in row] for row in rows], dtype=float).T
    if math.isnan(ours):
        return  # there the package divides by nothing or raises
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = krippendorff.alpha(
            reliability_data=data,
            level_of_measurement="ordinal" if ordinal else "nominal",
            value_domain=[1.0, 2.0, 3.0, 4.0],
        )
    assert ours == pytest.approx(theirs)


def test_kappa_of_cohens_own_table() -> None:
    """Educ Psychol Meas 20, 1960, table 1, in shares of 200."""
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]], dtype=float)
    assert float(kappa(table, 1.0 - np.eye(3))) == pytest.approx(0.492, abs=5e-4)
    assert math.isnan(float(kappa(np.array([[3.0, 0.0], [0.0, 0.0]]), 1.0 - np.eye(2))))
