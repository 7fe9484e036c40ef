"""How alike texts are, as numbers that can be searched: MinHash signatures, and the pairs that a search must look at.

A text is the set of its runs of words. Its signature keeps, for each of 64 hash functions, the least hash of any run
(MinHash, Broder 1997); the share of places in which two signatures agree estimates the Jaccard
similarity of the two sets, give or take 0.05. Signatures are cut into 16 bands of 4; texts that agree on a whole band
are compared (LSH; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, ch. 3): of pairs that are 0.8 alike it
misses one in 5,000. 256 bytes a text; nothing of the text is kept.

Bands are searched as sorted columns, not by datasketch's LSH, whose tables of Python objects take a hundred times the
memory, and which lists every pair of a group of thousands. Signatures are those that its version 2 makes ("affine32"),
as journals hold them; it is not used, since its import brings scipy, 42 MB in every process, for a few lines.
"""

import zlib
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

SIZE, BANDS = 64, 16
_SEED = 20_240_401  # fixed: signatures of two runs can be compared
MULTIPLIER = 0x9E3779B97F4A7C15
_MOST = 50  # a phrase that thousands share would give millions of pairs: so many of each are enough to see it
_AT_ONCE = 16_384

Signature = NDArray[np.uint32]  # 64 minima; of n texts, n x 64
Keys = NDArray[np.uint64]  # n x bands
Places = NDArray[np.int64]


def signature(words: Sequence[str], run: int) -> Signature:
    """The signature of a text.

    Args:
        words: the text's, as they are to be compared (case, punctuation).
        run: how many words a run has; a text with fewer is one run.
    """
    hashes = np.fromiter(map(_hash, words or ("",)), np.uint64, max(1, len(words)))
    length = min(run, len(hashes))
    mixed = hashes[: len(hashes) - length + 1] * np.uint64(MULTIPLIER)
    for at in range(1, length):
        mixed ^= hashes[at : at + len(mixed)]
        mixed *= np.uint64(MULTIPLIER)
    numbers = _scattered((mixed >> np.uint64(32)).astype(np.uint32))
    multipliers, offsets = _functions()
    made = numbers[:, np.newaxis] * multipliers
    made += offsets
    return np.asarray(made.min(axis=0))


def band_keys(signatures: Signature) -> Keys:
    """n x 64 minima as n x 16 keys, each of four minima: equal keys mean equal minima."""
    parts = signatures.reshape(len(signatures), BANDS, -1).astype(np.uint64)
    key = parts[:, :, 0]
    for place in range(1, parts.shape[2]):
        key = key * np.uint64(MULTIPLIER) + parts[:, :, place]
    return key


def likeness(some: Signature, others: Signature) -> NDArray[np.float64]:
    """The estimated share of runs in common: of one signature and another, or of each pair of rows."""
    return np.asarray(np.mean(some == others, axis=-1), dtype=np.float64)


class Searched:
    """Keys that are searched for equal ones, band by band, with others that come some at a time."""

    def __init__(self, keys: Keys) -> None:
        self._order = [np.argsort(keys[:, band], kind="stable") for band in range(keys.shape[1])]
        self._sorted = [keys[order, band] for band, order in enumerate(self._order)]

    def candidates(self, keys: Keys) -> Iterator[tuple[Places, Places]]:
        """Pairs (theirs, ours) that agree in a band, each once, some thousand at a time."""
        pairs: set[tuple[int, int]] = set()
        for band, (values, order) in enumerate(zip(self._sorted, self._order, strict=True)):
            low = np.searchsorted(values, keys[:, band], "left")
            high = np.minimum(np.searchsorted(values, keys[:, band], "right"), low + _MOST)
            for theirs in np.flatnonzero(high > low).tolist():
                pairs.update((theirs, ours) for ours in order[low[theirs] : high[theirs]].tolist())
        found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        for start in range(0, len(found), _AT_ONCE):
            yield found[start : start + _AT_ONCE, 0], found[start : start + _AT_ONCE, 1]


def similar_pairs(signatures: Signature, alike: float) -> Iterator[tuple[int, int]]:
    """Pairs that join the texts that are alike: every text of a group is reached through others.

    Within a band, each text is compared with the first of those that share it, so that time grows with the number of
    texts also where all of them are the same; what one band misses another finds.
    """
    for keys in band_keys(signatures).T if len(signatures) else ():
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        heads = first[inverse.ravel()]
        others = np.flatnonzero(heads != np.arange(len(signatures)))
        close = others[likeness(signatures[others], signatures[heads[others]]) >= alike] if len(others) else others
        yield from zip(heads[close].tolist(), close.tolist(), strict=True)


@lru_cache(maxsize=1 << 14)  # a word and its hash: 2 MB
def _hash(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "replace")) * MULTIPLIER & 0xFFFF_FFFF_FFFF_FFFF


@cache
def _functions() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Odd multipliers and offsets of the hash functions: what one makes of a number h is multiplier * h + offset."""
    random = np.random.RandomState(_SEED)  # its numbers are the same in every version of numpy (NEP 19)
    multipliers = random.randint(0, 1 << 31, SIZE, np.uint32) * np.uint32(2) + np.uint32(1)
    return multipliers, random.randint(0, 1 << 32, SIZE, np.uint32)


def _scattered(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Make the bits of these numbers each depend on all of their bits (the finalizer of MurmurHash3, 32 bits)."""
    numbers ^= numbers >> np.uint32(16)
    numbers *= np.uint32(0x85EBCA6B)
    numbers ^= numbers >> np.uint32(13)
    numbers *= np.uint32(0xC2B2AE35)
    numbers ^= numbers >> np.uint32(16)
    return numbers
