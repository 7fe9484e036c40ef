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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.similarity import BANDS, MULTIPLIER, SIZE, Signature, band_keys, likeness
from .auditing.sketch import ALIKE, Sketch

_HEAD = np.dtype([("number", "<u4"), ("bits", "<u8", (2,))])
_HEADS = 8  # of a band
_FULL = _HEADS * _HEAD.itemsize  # bytes of them
_HELD = 8_192  # bands; some 2 MB
_MAY_DIFFER = int(SIZE * (1 - ALIKE))  # minima of two sketches that are alike
_TRACES, _PAIRS = 200, 4_096  # that are compared at once
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).sum(axis=1, dtype=np.uint8)  # bits set
_TABLES = """
CREATE TABLE IF NOT EXISTS sketches (at INTEGER PRIMARY KEY, steps BLOB);
CREATE TABLE IF NOT EXISTS bands (band INTEGER PRIMARY KEY, heads BLOB);
"""
_NUMBERS = np.arange(BANDS, dtype=np.uint64) << np.uint64(58)


class Wanted(NamedTuple):
    """Traces that are looked for."""

    marks: NDArray[np.uint8]  # by number, from 1: 1 for those
    bands: NDArray[np.uint32]  # of all of them, in short and in order


class SketchIndex:
    """Numbers traces from 1, in the order in which they are added.

    Args:
        db: a database in which this has two tables; its caller commits.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        db.executescript(_TABLES)
        self._db = db
        self._full: dict[int, bytes] = {}  # heads of bands that are full
        (self.count,) = db.execute("SELECT COALESCE(MAX(at), 0) FROM sketches").fetchone()

    def add(self, ours: Sketch) -> list[tuple[int, float]]:
        """One more trace; the earlier ones that are alike, by number, and how much."""
        bands: list[int] = _bands(ours[np.newaxis])[0].tolist()
        found = self._heads(bands)
        self.count += 1
        bits = _bits(ours[np.newaxis])
        head = np.zeros(1, _HEAD)
        head["number"], head["bits"] = self.count, bits
        self._db.execute("INSERT INTO sketches VALUES (?, ?)", (self.count, ours.tobytes()))
        still_open = [
            (band, blob + head.tobytes()) for band, blob in zip(bands, found, strict=True) if len(blob) < _FULL
        ]
        self._db.executemany("REPLACE INTO bands VALUES (?, ?)", still_open)
        heads = np.frombuffer(b"".join(found), _HEAD)
        near: list[int] = np.unique(heads["number"][_may_be_alike(heads["bits"], bits)]).tolist()
        if not near:
            return []
        same = likeness(ours, self._read(near))
        return [(near[at], float(same[at])) for at in np.flatnonzero(same >= ALIKE).tolist()]

    def extend(self, ours: Signature) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """What `add` does with each of several traces, for less: a fifth of the time for some hundred.

        Args:
            ours: their sketches, one a row.

        Returns:
            Pairs, in order: the row, the number of an earlier trace, and how much they are alike.
        """
        first = self.count + 1
        self.count += len(ours)
        blobs = ((first + row, one.tobytes()) for row, one in enumerate(ours))
        self._db.executemany("INSERT INTO sketches VALUES (?, ?)", blobs)
        bits = _bits(ours)
        heads, rows, which = self._entered(first, bits, _bands(ours))
        close = _may_be_alike(heads["bits"][which], bits[rows])
        pairs = np.unique(rows[close] << 32 | heads["number"][which[close]])
        rows, others = pairs >> 32, pairs & 0xFFFF_FFFF
        same = self._likeness(ours, rows, others)
        alike = np.flatnonzero(same >= ALIKE)
        return rows[alike], others[alike], same[alike]

    def _entered(
        self, first: int, bits: NDArray[np.uint64], keys: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
        """Add some traces to their bands.

        Args:
            first: the number of the first one.
            bits: as `_bits` gives them.
            keys: as `_bands` gives them.

        Returns:
            Heads of those bands, band by band; and pairs of a row and the index of a head that stood there before it.
        """
        bands, places = np.unique(keys.ravel(), return_inverse=True)
        found = self._heads(bands.tolist())
        known = np.array([len(blob) // _HEAD.itemsize for blob in found], np.int64)
        order = np.argsort(places.ravel(), kind="stable")  # by band, and there in the order of the traces
        rows, of = order // BANDS, places.ravel()[order]
        place = known[of] + _counted(np.bincount(of))  # in its band
        is_head = place < _HEADS
        more = np.bincount(of[is_head], minlength=len(bands))
        starts = np.cumsum(known + more) - (known + more)
        heads = np.empty(int((known + more).sum()), _HEAD)
        heads[np.repeat(starts, known) + _counted(known)] = np.frombuffer(b"".join(found), _HEAD)
        new = starts[of[is_head]] + place[is_head]
        heads["number"][new], heads["bits"][new] = first + rows[is_head], bits[rows[is_head]]
        changed = (
            (int(bands[at]), heads[starts[at] : starts[at] + known[at] + more[at]].tobytes())
            for at in np.flatnonzero(more).tolist()
        )
        self._db.executemany("REPLACE INTO bands VALUES (?, ?)", changed)
        before = np.minimum(place, _HEADS)  # heads
        which: NDArray[np.int64] = np.repeat(starts[of], before) + _counted(before)
        return heads, np.repeat(rows, before), which

    def _heads(self, bands: Sequence[int]) -> list[bytes]:
        """The heads of each of these bands."""
        unknown = [band for band in bands if band not in self._full]
        query = "SELECT band, heads FROM json_each(?) CROSS JOIN bands ON band = value"
        found: dict[int, bytes] = dict(self._db.execute(query, (json.dumps(unknown),))) if unknown else {}
        heads = [self._full[band] if band in self._full else found.get(band, b"") for band in bands]
        for band, blob in found.items():
            if len(blob) == _FULL:
                if len(self._full) >= _HELD:
                    del self._full[next(iter(self._full))]
                self._full[band] = blob
        return heads

    def _read(self, numbers: Sequence[int]) -> Signature:
        """Sketches, one a row."""
        query = "SELECT steps FROM json_each(?) CROSS JOIN sketches ON at = value ORDER BY key"
        rows = self._db.execute(query, (json.dumps(numbers),))
        return np.frombuffer(b"".join(steps for (steps,) in rows), np.uint32).reshape(-1, SIZE)

    def wanted(self, marks: bytearray) -> "Wanted":
        """Marked traces, to be looked for; by number, from 1."""
        numbers = np.flatnonzero(np.frombuffer(marks, np.uint8)).tolist()
        parts = [np.empty(0, np.uint32)]
        for start in range(0, len(numbers), _PAIRS):
            parts.append(_short(_bands(self._read(numbers[start : start + _PAIRS]))).ravel())
        return Wanted(np.frombuffer(marks, np.uint8), np.unique(np.concatenate(parts)))

    def alike(self, numbers: Sequence[int], wanted: "Wanted") -> Iterator[tuple[int, int]]:
        """Of some traces, each that is alike to a wanted one among the heads of its bands, with the first of those."""
        if not numbers or not len(wanted.bands):
            return
        ours = self._read(numbers)
        near = np.flatnonzero(np.isin(_short(_bands(ours)), wanted.bands).any(axis=1))
        for start in range(0, len(near), _TRACES):
            rows = near[start : start + _TRACES]
            yield from self._alike([numbers[row] for row in rows.tolist()], ours[rows], wanted.marks)

    def _alike(self, numbers: Sequence[int], ours: Signature, marks: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
        bits, keys = _bits(ours), _bands(ours)
        bands, places = np.unique(keys.ravel(), return_inverse=True)
        query = "SELECT heads FROM json_each(?) CROSS JOIN bands ON band = value ORDER BY key"
        found = [blob for (blob,) in self._db.execute(query, (json.dumps(bands.tolist()),))]  # every band has heads
        heads = np.frombuffer(b"".join(found), _HEAD)
        of = np.repeat(np.arange(len(bands)), [len(blob) // _HEAD.itemsize for blob in found])
        is_wanted = marks[heads["number"]] == 1
        at, which = _joined(places.ravel(), of[is_wanted], len(bands))
        rows, others = at // BANDS, heads[is_wanted][which]
        close = _may_be_alike(others["bits"], bits[rows])
        pairs = np.unique(rows[close] << 32 | others["number"][close])
        rows, theirs = pairs >> 32, pairs & 0xFFFF_FFFF
        done = -1
        for pair in np.flatnonzero(self._likeness(ours, rows, theirs) >= ALIKE).tolist():
            number, head = numbers[rows[pair]], int(theirs[pair])
            if number not in (done, head):
                yield number, head
                done = number

    def _likeness(self, ours: Signature, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much each of these rows is like the trace of a number, some thousand at a time."""
        found = np.empty(len(rows))
        for start in range(0, len(rows), _PAIRS):
            some = slice(start, start + _PAIRS)
            numbers, which = np.unique(others[some], return_inverse=True)
            found[some] = likeness(ours[rows[some]], self._read(numbers.tolist())[which.ravel()])
        return found


def _bands(sketches: Signature) -> NDArray[np.int64]:
    """A number for each band of each sketch, which two traces share if they agree on the whole band."""
    keys = band_keys(sketches) * np.uint64(MULTIPLIER)  # so that the high bits depend on all
    return ((keys >> np.uint64(6)) | _NUMBERS).view(np.int64)


def _short(bands: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Half of each number: few bands share it that are not the same."""
    return np.asarray(bands >> 26, np.uint32)


def _bits(sketches: Signature) -> NDArray[np.uint64]:
    """The lowest bits of all minima of each sketch, and the next ones: n x 2 numbers of 64 bits."""
    planes = np.stack([sketches & 1, sketches >> 1 & 1], axis=1).astype(np.uint8)
    return np.packbits(planes, axis=-1).view(np.uint64)[:, :, 0]


def _may_be_alike(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether sketches with these bits can be alike, row by row."""
    differ = some ^ others
    octets = (differ[:, 0] | differ[:, 1]).view(np.uint8).reshape(-1, SIZE // 8)
    return np.asarray(_ONES[octets].sum(axis=1, dtype=np.uint8) <= _MAY_DIFFER)


def _counted(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... for each of some lengths, one after the other."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _joined(
    places: NDArray[np.int64], of: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a position in `places` and one in `of` where the same number stands; `of` is in order, below `count`."""
    many = np.bincount(of, minlength=count)
    times = many[places]
    first = np.repeat((np.cumsum(many) - many)[places] - (np.cumsum(times) - times), times)
    return np.repeat(np.arange(len(places)), times), first + np.arange(len(first))
