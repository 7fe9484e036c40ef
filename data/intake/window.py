"""From stored pixel values to 8 bits of grey, and whether what comes out shows anything.

The grey pipeline of DICOM PS3.3 C.11 on a table of the values that occur: modality transform, VOI transform (a window
or a lookup table), inversion; padding is no picture. Nothing larger than the picture is ever made. `odd_greys` looks at
the outcome of every picture, also of those that had 8 bits already.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .reports import Refusal

LOW, HIGH = 0.5, 99.5  # percentiles that become black and white where nothing better is known
MIN_CONTRAST = 32  # greys of 256 between the 5th and the 95th percentile; films have more than a hundred
MIN_LEVELS = 16  # greys that are used at all
_ROWS = 256
_BLANK = 3  # greys between the 1st and the 99th percentile that compression makes of nothing
_SHOWN = 0.1  # share of the picture that a window must leave between black and white

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
Transform = Callable[[Values], Values]


class Rendering(NamedTuple):
    """How stored values are to be shown; the default is by percentiles.

    `modality` maps stored values to output units. `voi` holds the file's own windows in order of preference, each from
    output units to 0 (black) through 1 (white). `padding` is the range of stored values that are no picture: they are
    left out of every statistic, and are black. `inverted`: after all of that, low values are white.
    """

    modality: Transform | None = None
    voi: Sequence[Transform] = ()
    padding: tuple[int, int] | None = None
    inverted: bool = False


BY_PERCENTILES = Rendering()


class Grey(NamedTuple):
    """A picture of 8 bits (height x width), how often each grey occurs outside padding, and which window was used."""

    pixels: NDArray[np.uint8]
    counts: Counts
    window: int | None  # place in `Rendering.voi`; none: percentiles


def to_grey8(pixels: NDArray[np.integer[Any]], rendering: Rendering = BY_PERCENTILES) -> Grey | Refusal:
    """Window a picture to 0-255.

    Args:
        pixels: stored values, height x width, at most 16 bits each.
        rendering: how they are to be shown. A window that would show next to nothing is passed over.
    """
    lowest, highest = int(pixels.min()), int(pixels.max())
    places = np.subtract(pixels, lowest, dtype=np.int32)
    counts = np.zeros(highest - lowest + 1, np.int64)
    for start in range(0, len(places), _ROWS):  # counting makes a copy four times as large
        counts += np.bincount(places[start : start + _ROWS].ravel(), minlength=len(counts))
    stored = np.arange(lowest, highest + 1, dtype=np.float64)
    counted = counts.copy()
    if rendering.padding is not None:
        low, high = rendering.padding
        counted[(stored >= low) & (stored <= high)] = 0
    if np.count_nonzero(counted) < 2:
        return Refusal("blank_image", "all its pixels are alike")
    values = stored if rendering.modality is None else np.asarray(rendering.modality(stored), np.float64)
    table, window = _windowed(values, counted, rendering.voi)
    if rendering.inverted:
        table = 255.0 - table
    if rendering.padding is not None:
        table = np.where((counts > 0) & (counted == 0), 0.0, table)
    greys = table.round().astype(np.uint8)
    return Grey(greys[places], np.bincount(greys, counted, 256).astype(np.int64), window)


def odd_greys(counts: Counts) -> Refusal | tuple[tuple[str, str], ...]:
    """What is the matter with a picture, from how often each of its 256 greys occurs: why it is none, or warnings."""
    low, first, last, high = (_percentile(counts, share) for share in (1, 5, 95, 99))
    if high - low <= _BLANK:
        return Refusal("blank_image", f"98 % of its pixels are between grey {low} and {high} of 255: it shows nothing")
    found = []
    if last - first < MIN_CONTRAST:
        found.append(("low_contrast", f"90 % of its pixels are between grey {first} and {last} of 255"))
    levels = np.count_nonzero(counts)
    if levels < min(MIN_LEVELS, counts.sum()):
        found.append(("few_grey_levels", f"it has {levels} greys; a radiograph has hundreds"))
    return tuple(found)


def _windowed(values: Values, counts: Counts, windows: Sequence[Transform]) -> tuple[Values, int | None]:
    """The table of greys (0-255) by the first window that shows something, else by percentiles."""
    for number, window in enumerate(windows):
        table = np.clip(np.asarray(window(values), np.float64), 0.0, 1.0) * 255.0
        if np.isfinite(table).all() and _shows(table, counts):
            return table, number
    low, high = _range(values, counts)
    return (np.clip(values, low, high) - low) * (255.0 / (high - low)), None


def _shows(table: Values, counts: Counts) -> bool:
    greys = np.bincount(table.round().astype(np.uint8), counts, 256)
    inside = counts[(table > 0.0) & (table < 255.0)].sum() / counts.sum()
    contrast = _percentile(greys, 95) - _percentile(greys, 5)
    return bool(inside >= _SHOWN and contrast >= MIN_CONTRAST)


def _range(values: Values, counts: Counts) -> tuple[float, float]:
    """What becomes black and white: percentiles of the values that occur, which differ."""
    seen = counts > 0
    order = np.argsort(values[seen], kind="stable")
    known, often = values[seen][order], counts[seen][order]
    # one value at an end that is farther from the others than they are from each other: padding that no header names
    if len(known) > MIN_LEVELS and known[1] - known[0] > known[-1] - known[1]:
        known, often = known[1:], often[1:]
    elif len(known) > MIN_LEVELS and known[-1] - known[-2] > known[-2] - known[0]:
        known, often = known[:-1], often[:-1]
    low, high = (known[_percentile(often, share)] for share in (LOW, HIGH))
    return (float(low), float(high)) if high > low else (float(known[0]), float(known[-1]))


def _percentile(counts: NDArray[Any], percent: float) -> int:
    """The place at which so much of the whole has been counted."""
    total = np.cumsum(counts)
    return int(np.searchsorted(total, total[-1] * percent / 100))
