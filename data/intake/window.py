"""From stored pixel values to 8 bits of grey, through one table: nothing larger than the picture is ever made."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.5, 99.5  # percentiles that become black and white where nothing better is known


def to_grey8(
    pixels: NDArray[np.integer],
    display: Callable[[NDArray[np.integer]], NDArray[np.generic]] | None = None,
    *,
    inverted: bool = False,
) -> tuple[NDArray[np.uint8] | None, bool]:
    """Window a picture to 0-255.

    Args:
        pixels: stored values, height x width, at most 16 bits each.
        display: from stored values to display values, elementwise (the file's own window); none: percentiles.
        inverted: the lowest value is white.

    Returns:
        The picture, none if all its pixels are alike; and whether `display` was used: it is not if it would
        leave less than a tenth of the picture's contrast inside the window's slope.
    """
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest == highest:
        return None, False
    values = np.arange(lowest, highest + 1, dtype=np.int32)
    low, high = (int(value) for value in np.percentile(pixels, (LOW, HIGH), method="nearest"))
    shown = None if display is None else np.asarray(display(values), dtype=np.float64)
    used = shown is not None and _keeps_contrast(shown, low - lowest, high - lowest)
    if shown is None or not used:
        high = max(high, low + 1)
        shown = np.clip(values, low, high).astype(np.float64)
    table = (shown - shown.min()) * (255.0 / (shown.max() - shown.min()))
    if inverted:
        table = 255.0 - table
    grey = table.round().astype(np.uint8)[np.subtract(pixels, lowest, dtype=np.int32)]
    return grey, used


def _keeps_contrast(shown: NDArray[np.float64], low: int, high: int) -> bool:
    if not np.isfinite(shown).all() or shown.max() <= shown.min():
        return False
    inside = shown[low : high + 1]
    steps = np.count_nonzero(np.diff(inside))
    return bool(steps * 10 >= max(high - low, 1))
