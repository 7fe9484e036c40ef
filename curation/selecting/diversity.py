"""Diversity: facility location by lazy greedy choice on TF-IDF, within caps and minimums.

f(S) is the sum over all rows of the pool of their likeness to the nearest row of S (cosine of TF-IDF, 0-1). It is
monotone and submodular, so the greedy choice is within 1 - 1/e of the best (Nemhauser 1978), and a gain that was
computed earlier bounds a later one, so only the best bounds are computed again (Minoux 1978), 64 at a time.

The same rows give the same choice in any order and with any number of threads: rows stand in the order of their
content hash, gains are rounded, ties go to the lower hash.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...schemas.errors import MissingExtraError
from .quotas import Quotas

Floats = NDArray[np.float64]

GROUND = 4_000  # rows of the pool whose coverage is measured; of a larger pool, those with the lowest hashes
_BATCH = 64
_PART = 2_000  # texts that are turned into numbers at once
_DIGITS = 4  # of a gain, which is a sum of up to GROUND likenesses


class Pick(NamedTuple):
    """One choice."""

    number: int  # of the row among the candidates
    gain: float
    served: tuple[str, ...]  # minimums
    coverage: float  # of the pool, after this choice: mean likeness to the nearest chosen row, 0-1


class Space:
    """The pool as rows of unit length over words and pairs of words, and the part of it whose coverage is measured."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Read a pool.

        Args:
            texts: in the order of their hashes.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError:
            raise MissingExtraError("select", "scikit-learn") from None
        from scipy.sparse import vstack

        # words are those of the ground: others are like nothing that is to be covered
        ground, rest = texts[:GROUND], texts[GROUND:]
        settings = {"ngram_range": (1, 2), "max_features": 30_000, "sublinear_tf": True, "dtype": np.float64}
        try:  # what stands in one text or in most of them says nothing of likeness, and would be most of the matrix
            vectorizer = TfidfVectorizer(min_df=2, max_df=0.5, **settings)
            self._ground = vectorizer.fit_transform(ground)
        except ValueError:  # nothing else is left in a pool of a few
            vectorizer = TfidfVectorizer(analyzer=str.split)
            self._ground = vectorizer.fit_transform(ground)
        parts = (vectorizer.transform(rest[at : at + _PART]) for at in range(0, len(rest), _PART))
        self._rows = vstack([self._ground, *parts], format="csr")
        self.size = self._ground.shape[0]

    def gains_of_first(self, numbers: Sequence[int]) -> Floats:
        """The gain of each row while nothing is covered: a plain sum of likenesses, one product for all."""
        whole = np.asarray(self._ground.sum(axis=0)).ravel()
        return np.asarray(self._rows[list(numbers)] @ whole)

    def likeness(self, numbers: Sequence[int] | NDArray[np.int64]) -> Floats:
        """ground x numbers; a dense block of few rows is much quicker than a product of two sparse matrices."""
        return np.asarray(self._ground @ self._rows[list(numbers)].toarray().T)

    def coverage(self, numbers: Sequence[int]) -> float:
        """Mean likeness of the ground to the nearest of these rows."""
        covered = np.zeros(self.size)
        for start in range(0, len(numbers), _BATCH):
            covered = np.maximum(covered, self.likeness(numbers[start : start + _BATCH]).max(axis=1))
        return float(covered.mean())


def choose(space: Space, candidates: Sequence[int], n: int, quotas: Quotas) -> list[Pick]:
    """Choose rows, until there are n or caps allow no more.

    Args:
        space: the pool.
        candidates: the rows of it that may be chosen, in the order of their hashes.
        n: how many, at most.
        quotas: of the candidates.
    """
    greedy = _Greedy(space, np.asarray(candidates))
    picks: list[Pick] = []
    while len(picks) < min(n, len(candidates)):
        open_ = greedy.left & quotas.allowed()
        serving = open_ & quotas.served()
        if serving.any():
            open_ = serving
        elif not open_.any():
            break
        number = greedy.best(open_)
        gain, coverage = greedy.take(number)
        picks.append(Pick(number, gain, quotas.take(number), coverage))
    return picks


class _Greedy:
    """What is covered so far, and an upper bound of every row's gain."""

    def __init__(self, space: Space, candidates: NDArray[np.int64]) -> None:
        self._space, self._candidates = space, candidates
        self._covered = np.zeros(space.size)
        self._bounds = np.round(space.gains_of_first(candidates.tolist()), _DIGITS)
        self._known_at = np.zeros(len(candidates), dtype=np.int64)
        self._now = 0
        self.left = np.ones(len(candidates), dtype=bool)

    def best(self, open_: NDArray[np.bool_]) -> int:
        """The open row with the highest gain; bounds are brought up to date only where they might win."""
        while True:
            known = open_ & (self._known_at == self._now)
            highest = self._bounds[known].max() if known.any() else -1.0
            stale = np.flatnonzero(open_ & ~known & (self._bounds >= highest))
            if not len(stale):
                return int(np.flatnonzero(known & (self._bounds == highest))[0])
            if len(stale) > _BATCH:
                stale = stale[np.argsort(-self._bounds[stale], kind="stable")[:_BATCH]]
            alike = self._space.likeness(self._candidates[stale])
            self._bounds[stale] = np.round(np.maximum(alike - self._covered[:, None], 0).sum(axis=0), _DIGITS)
            self._known_at[stale] = self._now

    def take(self, number: int) -> tuple[float, float]:
        """Choose a row; gives its gain, and the coverage after it."""
        self.left[number] = False
        self._covered = np.maximum(self._covered, self._space.likeness(self._candidates[[number]])[:, 0])
        self._now += 1
        return float(self._bounds[number]), float(self._covered.mean())
