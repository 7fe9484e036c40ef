"""What of a study is compared: its report's words, and a perceptual hash of each image; a function of the study alone.

Difference hash: an image is shrunk to 17 x 16 and each pixel compared with its neighbour, 256 bits that scaling,
compression and brightness hardly change. Hashes that differ in few bits agree wholly in one of their eight numbers, so
that data/similarity.py searches them, too.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..similarity import Signature, signature

_WORD = re.compile(r"[^\W_]+")
_SIDE = 16
_RUN = 3  # words
NEAR_BITS = 7  # of 256; one of eight bands of 32 bits is then the same for certain

Hashes = NDArray[np.uint32]


class Looks(NamedTuple):
    """Of a study."""

    text: bytes  # a hash of its words
    signature: Signature
    images: tuple[Hashes, ...]  # those that can be read


def looks(studies: Sequence[tuple[str, tuple[Path, ...]]]) -> list[Looks]:
    """Of each report, and of the images at these places."""
    return [
        Looks(
            hashlib.sha256(" ".join(words_of(report)).encode()).digest()[:16],
            report_signature(report),
            tuple(found for place in places if (found := hash_of(place)) is not None),
        )
        for report, places in studies
    ]


def words_of(report: str) -> list[str]:
    """A report's words, without case and punctuation: what two copies of it share."""
    return _WORD.findall(report.casefold())


def report_signature(report: str) -> Signature:
    """The MinHash signature of a report, by its runs of three words."""
    return signature(words_of(report), _RUN)


def difference_hash(data: bytes) -> Hashes:
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


def distance(some: Hashes, others: Hashes) -> NDArray[np.int64]:
    """Bits that differ, of each of some hashes and each of others in its place."""
    bits = np.unpackbits(np.ascontiguousarray(some ^ others).view(np.uint8), axis=-1)
    return np.asarray(bits.sum(axis=-1), dtype=np.int64)


def hash_of(path: Path) -> Hashes | None:
    """The difference hash of a file; none if it cannot be read now."""
    try:
        return difference_hash(path.read_bytes())
    except OSError:
        return None


def stack(rows: Sequence[Hashes]) -> Hashes:
    """Rows as a matrix."""
    return np.stack(rows) if rows else np.zeros((0, 1), np.uint32)
