"""Intervals and tests: by patient, reproducible, and as sure as the number of patients allows."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.distill.evaluate.measure import Measure, mean, mean_of
from tenstep.distill.evaluate.uncertainty import compare, interval


def measure(scores: list[float]) -> Measure:
    return Measure("score", "test", "1", "none", mean_of(scores), mean)


def people(count: int) -> list[str]:
    return [f"patient {at}" for at in range(count)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_an_interval_lies_within_the_scores_and_repeats_itself(scores: list[float]) -> None:
    found = interval(measure(scores), people(len(scores)), resamples=200)
    assert found is not None
    assert min(scores) - 1e-9 <= found.low <= found.high <= max(scores) + 1e-9
    assert found == interval(measure(scores), people(len(scores)), resamples=200)


def test_more_reports_of_the_same_patients_make_nothing_surer() -> None:
    scores = [0.1, 0.5, 0.9, 0.4, 0.7]
    once = interval(measure(scores), people(5), resamples=500)
    assert interval(measure(scores * 20), people(5) * 20, resamples=500) == pytest.approx(once)
    twenty = interval(measure(scores * 20), people(100), resamples=500)
    assert once is not None and twenty is not None
    assert twenty.high - twenty.low < (once.high - once.low) / 2


def test_of_a_single_patient_nothing_can_be_said() -> None:
    assert interval(measure([0.2, 0.8]), ["one", "one"]) is None


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    dice = random.Random(0)
    scores = [dice.random() for _ in range(400)]
    found = interval(measure(scores), people(400), resamples=4000)
    half = 1.96 * np.std(scores) / 20
    assert found is not None
    assert found.low == pytest.approx(np.mean(scores) - half, abs=0.004)
    assert found.high == pytest.approx(np.mean(scores) + half, abs=0.004)


def test_a_student_does_not_differ_from_itself() -> None:
    found = compare(measure([0.1, 0.9, 0.3]), measure([0.1, 0.9, 0.3]), people(3), shuffles=200)
    assert (found.difference, found.p) == (0.0, 1.0)


def test_a_difference_in_every_patient_is_found_and_has_a_sign() -> None:
    dice = random.Random(1)
    worse = [dice.random() / 2 for _ in range(30)]
    better = [score + 0.2 for score in worse]
    found = compare(measure(better), measure(worse), people(30), shuffles=2000)
    assert found.difference == pytest.approx(0.2)
    assert found.p == pytest.approx(1 / 2001)
    assert compare(measure(worse), measure(better), people(30), shuffles=2000).difference == pytest.approx(-0.2)
    one_patient = compare(measure(better), measure(worse), ["one"] * 30, shuffles=2000)
    assert one_patient.p == 1.0  # thirty reports of one patient prove nothing


def test_the_test_is_as_often_wrong_as_it_says() -> None:
    dice = np.random.default_rng(2)
    small = 0
    for seed in range(200):
        one, other = dice.random(20).tolist(), dice.random(20).tolist()
        small += compare(measure(one), measure(other), people(20), shuffles=200, seed=seed).p <= 0.1
    assert 8 <= small <= 34  # 20 expected
