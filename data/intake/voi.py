"""What a DICOM header says of grey: modality and VOI transforms, padding and inversion (PS3.3 C.11.1, C.11.2, C.7.5.1).

Attributes that are present and empty, or hold what cannot be, count as absent. A file's lookup tables come before its
windows, and the first of each before the others.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .window import Rendering, Transform, Values


def rendering_of(dataset: Any) -> Rendering:
    """How the pixels of a grey DICOM data set are to be shown."""
    modality = _modality(dataset)
    return Rendering(
        modality=modality,
        voi=(*_voi_tables(dataset), *_windows(dataset)),
        padding=_padding(dataset),
        inverted=is_inverted(dataset),
    )


def is_inverted(dataset: Any) -> bool:
    """Low values are white: MONOCHROME1, or the presentation LUT shape that says the same (PS3.3 C.11.6)."""
    shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    return str(dataset.PhotometricInterpretation).strip().upper() == "MONOCHROME1" or shape == "INVERSE"


def numbers(dataset: Any, name: str) -> list[float]:
    """The finite numbers of an attribute; none if it is absent, empty or no number."""
    try:
        value = dataset.get(name)
        many = [] if value is None or isinstance(value, str) else value if hasattr(value, "__iter__") else [value]
        found = [float(one) for one in many]
    except (ValueError, TypeError):
        return []
    return found if all(np.isfinite(found)) else []


def whole(dataset: Any, name: str) -> int | None:
    """The first number of an attribute, whole; none likewise."""
    found = numbers(dataset, name)
    return int(found[0]) if found else None


def _modality(dataset: Any) -> Transform | None:
    for item in dataset.get("ModalityLUTSequence") or ():
        if (table := _table(item, dataset)) is not None:
            return partial(_look_up, *table)
    slope, intercept = numbers(dataset, "RescaleSlope"), numbers(dataset, "RescaleIntercept")
    by, plus = slope[0] if slope and slope[0] else 1.0, intercept[0] if intercept else 0.0
    return None if (by, plus) == (1.0, 0.0) else lambda values: values * by + plus


def _voi_tables(dataset: Any) -> Iterator[Transform]:
    for item in dataset.get("VOILUTSequence") or ():
        if (table := _table(item, dataset)) is not None:
            first, data, bits = table
            top = 2**bits - 1
            if data.max() > top or data.max() * 2 < top:  # the number of bits is wrong: the table's own range
                top = max(int(data.max()), 1)
            yield partial(_shares, first, data, top)


def _shares(first: int, data: Values, top: int, values: Values) -> Values:
    return _look_up(first, data, 0, values) / top


def _look_up(first: int, data: Values, _bits: int, values: Values) -> Values:
    """Values below the first one that is mapped take the first entry, those above the last one the last."""
    if first > 0x7FFF and values.min() < 0:  # written unsigned, and meant as signed
        first -= 0x10000
    found: Values = data[np.clip(np.floor(values) - first, 0, len(data) - 1).astype(np.int64)]
    return found


def _table(item: Any, dataset: Any) -> tuple[int, Values, int] | None:
    """A lookup table: the first value that is mapped, its entries, and bits of each; none if it is not whole."""
    descriptor = [int(number) for number in numbers(item, "LUTDescriptor")]
    raw = item.get("LUTData")
    if len(descriptor) != 3 or raw is None:
        return None
    entries, first, bits = descriptor[0] & 0xFFFF or 0x10000, descriptor[1], descriptor[2]
    data: NDArray[Any]
    if isinstance(raw, bytes):
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        wide = len(raw) >= 2 * entries
        data = np.frombuffer(raw, f"{order}u2" if wide else np.uint8, len(raw) // (2 if wide else 1))
    else:
        data = np.atleast_1d(np.asarray(raw, np.int64)) & 0xFFFF
        if len(data) * 2 == entries and bits <= 8:  # two entries a word
            data = data.astype("<u2").view(np.uint8)
    if len(data) < entries or not 1 <= bits <= 16 or (data[:entries] == data[0]).all():
        return None
    return first, data[:entries].astype(np.float64), bits


def _windows(dataset: Any) -> Iterator[Transform]:
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    function = FUNCTIONS.get(function_of(dataset), _linear)
    for number, center in enumerate(centers if widths else ()):
        width = widths[min(number, len(widths) - 1)]
        if width > 0:
            yield partial(function, center, width)


def function_of(dataset: Any) -> str:
    """The name of the VOI LUT function, LINEAR if the file names none."""
    return "_".join(str(dataset.get("VOILUTFunction") or "LINEAR").upper().split())


def _linear(center: float, width: float, values: Values) -> Values:
    """C.11.2.1.2.1; a width of 1 is a threshold."""
    if width <= 1:
        return (values > center - 0.5).astype(np.float64)
    return (values - (center - 0.5)) / (width - 1) + 0.5


def _exact(center: float, width: float, values: Values) -> Values:
    """C.11.2.1.3.2."""
    return (values - center) / width + 0.5


def _sigmoid(center: float, width: float, values: Values) -> Values:
    """C.11.2.1.3.1."""
    found: Values = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700, 700)))
    return found


FUNCTIONS = {"LINEAR": _linear, "LINEAR_EXACT": _exact, "SIGMOID": _sigmoid}


def _padding(dataset: Any) -> tuple[int, int] | None:
    value = whole(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = whole(dataset, "PixelPaddingRangeLimit")
    ends = [_as_stored(dataset, one) for one in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(dataset: Any, value: int) -> int:
    """With the sign that the pixels have, whichever way the header wrote it."""
    if whole(dataset, "PixelRepresentation"):
        return value - 0x10000 if value > 0x7FFF else value
    return value + 0x10000 if value < 0 else value
