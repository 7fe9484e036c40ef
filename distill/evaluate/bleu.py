"""BLEU as a sum of counts (Papineni et al. 2002), the same formula for both implementations. It counts nothing itself.

Statistics of a pair: length of the hypothesis, of the reference, then for n = 1 to 4 how many n-grams matched, then
how many there were.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from .measure import Floats

ORDERS = (1, 2, 3, 4)


def row(length: int, reference: int, matched: Sequence[int], there: Sequence[int]) -> list[int]:
    """Statistics of one pair."""
    return [length, reference, *matched, *there]


def value(order: int, matched_floor: float = 0.0, there_floor: float = 0.0) -> Callable[[Floats], Floats]:
    """BLEU up to `order`, from sums of shape (..., 10) to shares of shape (...), without smoothing.

    The floors are what an implementation adds to counts lest it divide by nothing.
    """
    return partial(_bleu, order, matched_floor, there_floor)


def _bleu(order: int, matched_floor: float, there_floor: float, sums: Floats) -> Floats:
    length, reference = sums[..., 0] + matched_floor, sums[..., 1] + there_floor
    matched, there = sums[..., 2 : 2 + order] + matched_floor, sums[..., 6 : 6 + order] + there_floor
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.exp(np.log(matched / there).mean(axis=-1))
        brevity = np.where(length < reference, np.exp(1 - reference / length), 1.0)
    return np.where((matched > 0).all(axis=-1), precision * brevity, 0.0)
