"""Sketches: a text as a short row of numbers from which likeness can be told, and groups of texts that are alike.

A text is the set of its runs of words. Its sketch keeps, for each of 64 hash functions, the least hash of any run
(MinHash, Broder 1997); the share of places in which two sketches agree estimates the Jaccard similarity of the two
sets, give or take 0.05. Sketches are cut into 16 bands of 4; texts that agree on a whole band are compared (LSH,
Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3): of pairs that are 0.8 alike, it misses one in
5,000. 256 bytes a text; nothing of the text is kept. Written here: it is a page, and libraries bring more than it.
"""

import zlib
from array import array
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

SIZE, BANDS = 64, 16
ALIKE = 0.8
_LENGTH = 4  # words of a run
_ODD = np.random.default_rng(20_261_124).integers(1 << 63, size=SIZE, dtype=np.uint64) * np.uint64(2) + np.uint64(1)

Sketch = npt.NDArray[np.uint32]


@lru_cache(maxsize=1 << 17)
def _hash(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "replace")) * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF


def sketch(tokens: Sequence[str]) -> Sketch:
    """The sketch of a text, from its words; texts of fewer than four words are one run."""
    hashes = np.fromiter(map(_hash, tokens or ("",)), np.uint64, max(1, len(tokens)))
    length = min(_LENGTH, len(hashes))
    count = len(hashes) - length + 1
    mixed = np.zeros(count, np.uint64)
    for at in range(length):
        mixed = _mixed(mixed ^ hashes[at : at + count])
    found: Sketch = (np.unique(mixed)[:, None] * _ODD >> np.uint64(32)).min(axis=0).astype(np.uint32)
    return found


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64: every bit of the input moves every bit of the output."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed


def likeness(one: Sketch, other: Sketch) -> float:
    """The estimated share of runs that two texts have in common."""
    return float(np.mean(one == other))


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
        """Texts that are alike, directly or through others; the largest group first, single ones left out.

        Within a band, each text is compared with the first of those that share it, so that time grows with the number
        of texts also where all of them are the same; what one band misses another finds.
        """
        matrix = self.matrix
        parent = list(range(len(matrix)))

        def root(at: int) -> int:
            while parent[at] != at:
                parent[at] = at = parent[parent[at]]
            return at

        rows = SIZE // BANDS
        for band in range(BANDS):
            keys = np.ascontiguousarray(matrix[:, band * rows : (band + 1) * rows]).view(f"V{rows * 4}").ravel()
            _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
            heads = first[inverse.ravel()]
            others = np.flatnonzero(heads != np.arange(len(matrix)))
            close = others[(matrix[others] == matrix[heads[others]]).mean(axis=1) >= alike] if len(others) else others
            for at in close.tolist():
                one, other = sorted((root(at), root(int(heads[at]))))
                parent[other] = one
        found: dict[int, list[int]] = defaultdict(list)
        for at in range(len(matrix)):
            found[root(at)].append(at)
        return sorted((group for group in found.values() if len(group) > 1), key=lambda group: (-len(group), group[0]))
