"""Sketches: a text as a short row of numbers that show how alike texts are, and groups of texts that are alike.

A sketch is the MinHash signature (data/similarity.py) of a text's runs of four words.
"""

from array import array
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ...data.similarity import SIZE, Signature, signature, similar_pairs
from ...data.similarity import likeness as likeness_of

ALIKE = 0.8
_LENGTH = 4  # words of a run

Sketch = Signature


def sketch(tokens: Sequence[str]) -> Sketch:
    """The sketch of a text, from its words; texts of fewer than four words are one run."""
    return signature(tokens, _LENGTH)


def likeness(one: Sketch, other: Sketch) -> float:
    """The estimated share of runs that two texts have in common."""
    return float(likeness_of(one, other))


class Sketches:
    """Sketches of many texts, in the order in which they were added."""

    def __init__(self) -> None:
        self._values = array("I")

    def add(self, found: Sketch) -> None:
        """One more text."""
        self._values.frombytes(found.tobytes())

    def extend(self, other: "Sketches") -> None:
        """Those of another collection."""
        self._values.extend(other._values)

    def __len__(self) -> int:
        return len(self._values) // SIZE

    @property
    def matrix(self) -> Sketch:
        """All of them, one a row."""
        return np.frombuffer(self._values, np.uint32).reshape(-1, SIZE)

    def groups(self, alike: float = ALIKE) -> list[list[int]]:
        """Texts that are alike, directly or through others; the largest group first, single ones left out."""
        parent = list(range(len(self)))

        def root(at: int) -> int:
            while parent[at] != at:
                parent[at] = at = parent[parent[at]]
            return at

        for pair in similar_pairs(self.matrix, alike):
            one, other = sorted(map(root, pair))
            parent[other] = one
        found: dict[int, list[int]] = defaultdict(list)
        for at in range(len(self)):
            found[root(at)].append(at)
        return sorted((group for group in found.values() if len(group) > 1), key=lambda group: (-len(group), group[0]))
