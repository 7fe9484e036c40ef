"""Intervals and agreement, once for every room: what an audit, a run, a student and raters are measured with.

    wilson      interval of a share (E. B. Wilson, JASA 22, 1927, 209-212)
    bootstrap   percentile interval of any statistic of sums, over patients: what is counted of one hangs together
    kappa       Cohen's, for two raters (Educ Psychol Meas 20, 1960, 37-46), weighted (Psychol Bull 70, 1968, 213-220)
    mcnemar     exact test of two counts of discordant pairs, which is the sign test (McNemar, Psychometrika 12, 1947)
    alpha       Krippendorff's (Computing Krippendorff's Alpha-Reliability, 2011), nominal or ordinal

Kappa and alpha are of tables of counts that add up over patients, so that thousands of draws cost one product of
matrices; the package krippendorff, which the tests compare alpha with, starts from single ratings each time.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..schemas.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEVEL = 0.95
_Z = 1.959963984540054  # of the standard normal distribution, 97.5 %
_CELLS = 4_000_000  # of a block of draws, some 32 MB


def read_share(text: str) -> float:
    """A share as a user writes it, above 0 and up to 1.

    Raises:
        InputError: it is something else.
    """
    return number_within(text, math.nextafter(0, 1), 1, "a share above 0 and up to 1")


def number_within(text: str, least: float, most: float, what: str) -> float:
    """A finite number as a user writes it, within bounds.

    Args:
        text: what was written.
        least: the least that it may be.
        most: the most.
        what: what it has to be, for the message.

    Raises:
        InputError: it is something else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (least <= value <= most and math.isfinite(value)):
        raise InputError(f"'{text[:40]}' is not {what}")
    return value


class Interval(NamedTuple):
    """A share with the interval that holds the true one in 95 of 100 cases."""

    share: float
    low: float
    high: float


def wilson(hits: float, of: float, trials: int | None = None) -> Interval:
    """The Wilson score interval at 95 %; nothing tried is anywhere in 0 to 1.

    Args:
        hits: what was counted.
        of: of how many.
        trials: how many of them are independent, if not all: the patients of many answers, for instance.
    """
    if of == 0:
        return Interval(0.0, 0.0, 1.0)
    share, z2, n = hits / of, _Z * _Z, of if trials is None else trials
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(
        share, 0.0 if hits == 0 else max(0.0, centre - half), 1.0 if hits == of else min(1.0, centre + half)
    )


def by_patient(values: "Floats", patients: Sequence[str]) -> "Floats":
    """Sums over each patient's rows.

    Args:
        values: [rows, columns].
        patients: whose each row is.

    Returns:
        [patients, columns], in the order of the patients' names.
    """
    import numpy as np

    names, index = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    return sums


def bootstrap(
    sums: "Floats", statistic: "Callable[[Floats], Floats]", *, rounds: int, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bounds at 95 % of a statistic over patients who are drawn with replacement.

    Args:
        sums: [patients, ...], what is added up of each.
        statistic: of totals [draws, ...] one value each; NaN where it is not defined, as for a draw of one category.
        rounds: draws.
        seed: of the draws; the same sums give the same bounds.

    Returns:
        None for fewer than two patients, or if most draws have no value.
    """
    import numpy as np

    count = len(sums)
    if count < 2:
        return None
    chance, flat = np.random.default_rng(seed), sums.reshape(count, -1)
    even = np.full(count, 1 / count)
    found = []
    size = max(1, min(rounds, _CELLS // max(count, flat.shape[1])))
    for start in range(0, rounds, size):
        drawn = chance.multinomial(count, even, size=min(size, rounds - start))
        found.append(statistic((drawn @ flat).reshape(len(drawn), *sums.shape[1:])))
    values = np.concatenate(found)
    defined = values[~np.isnan(values)]
    if len(defined) < rounds / 2:
        return None
    low, high = np.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def kappa(tables: "Floats", disagreement: "Floats") -> "Floats":
    """Cohen's kappa of contingency tables: 1 minus observed over expected disagreement; NaN where not defined.

    Args:
        tables: [..., categories of one, categories of the other], counts.
        disagreement: weight of each cell, 0 on the diagonal.
    """
    import numpy as np

    total = tables.sum((-1, -2), keepdims=True)
    expected = tables.sum(-1, keepdims=True) * tables.sum(-2, keepdims=True) / np.where(total, total, 1)
    found: Floats = 1.0 - ratio((tables * disagreement).sum((-1, -2)), (expected * disagreement).sum((-1, -2)))
    return found


def mcnemar(one: int, other: int) -> float:
    """Exact two-sided p: how likely two counts differ so far, if either side were as likely for each of them.

    Twice the binomial probability, at 1/2, of the smaller count or less; 1 where nothing was counted.
    """
    n = one + other
    tail = sum(math.comb(n, k) for k in range(min(one, other) + 1))
    return min(1.0, 2 * tail / (1 << n))


def alpha(coincidences: "Floats", *, ordinal: bool) -> "Floats":
    """Krippendorff's alpha of coincidence matrices [..., categories, categories]; NaN where not defined."""
    import numpy as np

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
    found: Floats = 1.0 - (n - 1) * ratio(observed, expected)
    return found


def ratio(part: "Floats", whole: "Floats") -> "Floats":
    """Quotients; NaN where the whole is nothing."""
    import numpy as np

    nothing = np.isclose(whole, 0)
    return np.where(nothing, np.nan, part / np.where(nothing, 1, whole))
