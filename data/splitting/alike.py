"""Likeness of reports and of images as numbers that can be searched: MinHash, and a perceptual hash.

MinHash: of a report's shingles of three words, 64 minima; the share of equal minima estimates the Jaccard likeness of
two reports (Broder 1997). Difference hash: an image is shrunk to 17 x 16 and each pixel compared with its neighbour,
256 bits that scaling, compression and brightness hardly change.

Both are searched by bands: two that are alike agree wholly in at least one of them, and only such pairs are compared.
"""

import io
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MINIMA, _BANDS = 64, 16
_SHINGLE = 3
_WORD = re.compile(r"[^\W_]+")
_random = np.random.default_rng(20_240_401)  # fixed: signatures of two runs can be compared
# multiply, add, shift (Dietzfelbinger 1996): as good a family of hashes as one with a prime, and much quicker
_A = _random.integers(0, 2**64, _MINIMA, dtype=np.uint64) | np.uint64(1)
_B = _random.integers(0, 2**64, _MINIMA, dtype=np.uint64)
_SIDE = 16
NEAR_BITS = 7  # of 256; one of eight bands of 32 bits is then the same for certain

Words = NDArray[np.uint64]
Signatures = NDArray[np.uint32]
Places = NDArray[np.int64]


def words_of(report: str) -> list[str]:
    """A report's words, without case and punctuation: what two copies of it share."""
    return _WORD.findall(report.casefold())


def minhash(report: str) -> NDArray[np.uint32]:
    """64 minima of a report; of one with fewer than three words, those of its words."""
    words = words_of(report)
    count = max(1, len(words) - _SHINGLE + 1)
    shingles = {zlib.crc32(" ".join(words[at : at + _SHINGLE]).encode()) for at in range(count)}
    values = np.fromiter(shingles, np.uint64, len(shingles))
    hashed = values[:, None] * _A + _B
    return np.asarray(hashed.min(axis=0) >> np.uint64(32), dtype=np.uint32)


def report_bands(signatures: NDArray[np.uint32]) -> Words:
    """Bands of signatures: n x 16, each of four minima."""
    parts = signatures.reshape(len(signatures), _BANDS, -1).astype(np.uint64)
    key = parts[:, :, 0]
    for place in range(1, parts.shape[2]):
        key = key * np.uint64(0x9E3779B97F4A7C15) + parts[:, :, place]
    return key


def difference_hash(data: bytes) -> NDArray[np.uint32]:
    """256 bits of a PNG or JPEG, as eight numbers.

    Raises:
        OSError: it cannot be decoded.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        image.draft("L", (8 * _SIDE, 8 * _SIDE))  # a JPEG is decoded at an eighth of its size: much quicker
        small = image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    return bits.view(np.uint32)


class Alike:
    """Those that are searched for; asked with others, some at a time."""

    def __init__(self, bands: Words) -> None:
        self._order = [np.argsort(bands[:, band], kind="stable") for band in range(bands.shape[1])]
        self._sorted = [bands[order, band] for band, order in enumerate(self._order)]

    def candidates(self, bands: Words) -> Iterator[tuple[Places, Places]]:
        """Pairs (theirs, ours) that agree in a band, each once, some thousand at a time."""
        pairs: set[tuple[int, int]] = set()
        for band, (values, order) in enumerate(zip(self._sorted, self._order, strict=True)):
            low = np.searchsorted(values, bands[:, band], "left")
            high = np.minimum(np.searchsorted(values, bands[:, band], "right"), low + _MOST)
            for theirs in np.flatnonzero(high > low).tolist():
                pairs.update((theirs, ours) for ours in order[low[theirs] : high[theirs]].tolist())
        found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        for start in range(0, len(found), _AT_ONCE):
            yield found[start : start + _AT_ONCE, 0], found[start : start + _AT_ONCE, 1]


_MOST = 50  # a phrase that thousands share would give millions of pairs: so many of each are enough to see it
_AT_ONCE = 16_384


def likeness(some: Signatures, others: Signatures) -> NDArray[np.float64]:
    """The share of equal minima, of each of some with each of others in its place."""
    return np.asarray(np.mean(some == others, axis=-1), dtype=np.float64)


def distance(some: Signatures, others: Signatures) -> NDArray[np.int64]:
    """Bits that differ, likewise."""
    bits = np.unpackbits(np.ascontiguousarray(some ^ others).view(np.uint8), axis=-1)
    return np.asarray(bits.sum(axis=-1), dtype=np.int64)


def hash_of(path: Path) -> NDArray[np.uint32] | None:
    """The difference hash of a file; none if it cannot be read now."""
    try:
        return difference_hash(path.read_bytes())
    except OSError:
        return None


def stack(rows: Sequence[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """Rows as a matrix."""
    return np.stack(rows) if rows else np.zeros((0, 1), np.uint32)
