"""An index of sketches on disk: which earlier traces are alike, in the same time and memory however many there are.

Sketches are cut into bands (data/similarity.py); traces that agree on a whole band are compared. A band remembers the
first few of its traces, its heads, and a larger group is found through those, too. So a band that is full never
changes, and such bands are held as long as there is room for them. Of each head a band has two bits of every minimum
(b-bit minwise hashing, Li and König 2010): minima that agree have the same bits, so only those sketches are read that
may be alike.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.similarity import BANDS, MULTIPLIER, SIZE, Signature, band_keys, likeness
from .auditing.sketch import ALIKE, Sketch

_HEAD = np.dtype([("number", "<u4"), ("bits", "<u8", (2,))])
_FULL = 8 * _HEAD.itemsize  # bytes of a band's heads
_HELD = 8_192  # bands; some 2 MB
_MAY_DIFFER = int(SIZE * (1 - ALIKE))  # minima of two sketches that are alike
_TRACES, _PAIRS = 200, 4_096  # that are compared at once
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).sum(axis=1, dtype=np.uint8)  # bits set
_TABLES = """
CREATE TABLE sketches (at INTEGER PRIMARY KEY, steps BLOB);
CREATE TABLE bands (band INTEGER PRIMARY KEY, heads BLOB);
"""
_NUMBERS = np.arange(BANDS, dtype=np.uint64) << np.uint64(58)


class SketchIndex:
    """Numbers traces from 1, in the order in which they are added.

    Args:
        db: a database of which this makes two tables; in a transaction that is never committed.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        db.executescript(_TABLES)
        self._db = db
        self._full: dict[int, bytes] = {}  # heads of bands that are full
        self.count = 0

    def add(self, ours: Sketch) -> list[tuple[int, float]]:
        """One more trace; the earlier ones that are alike, by number, and how much."""
        bands: list[int] = _bands(ours[np.newaxis])[0].tolist()
        found = {band: full for band in bands if (full := self._full.get(band)) is not None}
        if unknown := [band for band in bands if band not in found]:
            found |= self._heads(unknown)
        self.count += 1
        bits = _bits(ours[np.newaxis])
        head = np.zeros(1, _HEAD)
        head["number"], head["bits"] = self.count, bits
        self._db.execute("INSERT INTO sketches VALUES (?, ?)", (self.count, ours.tobytes()))
        known = ((band, found.get(band, b"")) for band in bands)
        still_open = [(band, blob + head.tobytes()) for band, blob in known if len(blob) < _FULL]
        self._db.executemany("REPLACE INTO bands VALUES (?, ?)", still_open)
        heads = np.frombuffer(b"".join(found.values()), _HEAD)
        near: list[int] = np.unique(heads["number"][_may_be_alike(heads["bits"], bits)]).tolist()
        if not near:
            return []
        same = likeness(ours, self._read(near))
        return [(near[at], float(same[at])) for at in np.flatnonzero(same >= ALIKE).tolist()]

    def _heads(self, bands: Sequence[int]) -> dict[int, bytes]:
        """Heads of those bands that have any."""
        query = f"SELECT band, heads FROM bands WHERE band IN ({', '.join('?' * len(bands))})"  # noqa: S608 question marks
        found: dict[int, bytes] = dict(self._db.execute(query, bands))
        for band, heads in found.items():
            if len(heads) == _FULL:
                if len(self._full) >= _HELD:
                    del self._full[next(iter(self._full))]
                self._full[band] = heads
        return found

    def _read(self, numbers: Sequence[int]) -> Signature:
        """Sketches, one a row."""
        query = "SELECT steps FROM json_each(?) CROSS JOIN sketches ON at = value ORDER BY key"
        rows = self._db.execute(query, (json.dumps(numbers),))
        return np.frombuffer(b"".join(steps for (steps,) in rows), np.uint32).reshape(-1, SIZE)

    def alike(self, numbers: Sequence[int], wanted: bytearray) -> Iterator[tuple[int, int]]:
        """Of some traces, each that is alike to a wanted one among the heads of its bands, with the first of those.

        Args:
            numbers: of the traces.
            wanted: by number, from 1: whether a trace is.
        """
        for start in range(0, len(numbers), _TRACES):
            yield from self._alike(numbers[start : start + _TRACES], wanted)

    def _alike(self, numbers: Sequence[int], wanted: bytearray) -> Iterator[tuple[int, int]]:
        ours = self._read(numbers)
        bits, keys = _bits(ours), _bands(ours)
        bands, places = np.unique(keys.ravel(), return_inverse=True)
        query = "SELECT heads FROM json_each(?) CROSS JOIN bands ON band = value ORDER BY key"
        found = [blob for (blob,) in self._db.execute(query, (json.dumps(bands.tolist()),))]  # every band has heads
        heads = np.frombuffer(b"".join(found), _HEAD)
        of = np.repeat(np.arange(len(bands)), [len(blob) // _HEAD.itemsize for blob in found])
        is_wanted = np.frombuffer(wanted, np.uint8)[heads["number"]] == 1
        at, which = _joined(places.ravel(), of[is_wanted], len(bands))
        rows, others = at // BANDS, heads[is_wanted][which]
        close = _may_be_alike(others["bits"], bits[rows])
        pairs = np.unique(rows[close] << 32 | others["number"][close])
        done = -1
        for start in range(0, len(pairs), _PAIRS):
            rows, theirs = pairs[start : start + _PAIRS] >> 32, pairs[start : start + _PAIRS] & 0xFFFF_FFFF
            read, where = np.unique(theirs, return_inverse=True)
            same = likeness(ours[rows], self._read(read.tolist())[where])
            for pair in np.flatnonzero(same >= ALIKE).tolist():
                number, head = numbers[rows[pair]], int(theirs[pair])
                if number not in (done, head):
                    yield number, head
                    done = number


def _bands(sketches: Signature) -> NDArray[np.int64]:
    """A number for each band of each sketch, which two traces share if they agree on the whole band."""
    keys = band_keys(sketches) * np.uint64(MULTIPLIER)  # so that the high bits depend on all
    return ((keys >> np.uint64(6)) | _NUMBERS).view(np.int64)


def _bits(sketches: Signature) -> NDArray[np.uint64]:
    """The lowest bits of all minima of each sketch, and the next ones: n x 2 numbers of 64 bits."""
    planes = np.stack([sketches & 1, sketches >> 1 & 1], axis=1).astype(np.uint8)
    return np.packbits(planes, axis=-1).view(np.uint64)[:, :, 0]


def _may_be_alike(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether sketches with these bits can be alike, row by row."""
    differ = some ^ others
    octets = (differ[:, 0] | differ[:, 1]).view(np.uint8).reshape(-1, SIZE // 8)
    return np.asarray(_ONES[octets].sum(axis=1, dtype=np.uint8) <= _MAY_DIFFER)


def _joined(
    places: NDArray[np.int64], of: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a position in `places` and one in `of` where the same number stands; `of` is in order, below `count`."""
    many = np.bincount(of, minlength=count)
    times = many[places]
    first = np.repeat((np.cumsum(many) - many)[places] - (np.cumsum(times) - times), times)
    return np.repeat(np.arange(len(places)), times), first + np.arange(len(first))
