"""The pixels of a film for the browser: raw grey values at full resolution, which the page windows by itself.

A browser decodes a 16-bit image to 8 bits, so a DICOM film of 12 or 16 bits is sent as plain little-endian uint16, with
its width, height and first window in headers. The window and the inversion are the file's own (PS3.3 C.11) where it has
them; the reader changes both.
"""

import io
from pathlib import Path
from typing import NamedTuple

from ..schemas.errors import ImageError
from .intake.decoder import DecodeError, decoder

_PIXELS = 100_000_000


class Pixels(NamedTuple):
    """A film as rows of grey values, one or two bytes each."""

    width: int
    height: int
    bits: int  # 8 or 16 a value
    low: float  # what is shown black, before inversion
    high: float  # what is shown white
    inverted: bool
    data: bytes

    @property
    def headers(self) -> dict[str, str]:
        """What the page needs to draw `data`."""
        named = {"Width": self.width, "Height": self.height, "Bits": self.bits}
        window = {"Low": f"{self.low:g}", "High": f"{self.high:g}", "Inverted": int(self.inverted)}
        return {f"X-Film-{name}": str(value) for name, value in {**named, **window}.items()}


def pixels(path: Path) -> Pixels:
    """Read a film.

    Raises:
        ImageError: it is missing, damaged or too large.
    """
    try:
        return decoder().run(_decoded, path.read_bytes())
    except OSError as error:
        raise ImageError(
            f"the film cannot be read ({error.strerror or type(error).__name__}); restore it from its source", file=path
        ) from None
    except DecodeError as error:
        raise ImageError(f"the film cannot be shown: {error}", file=path) from None


def _decoded(data: bytes) -> Pixels:
    """Called in the decoder's process."""
    return _dicom(data) if data[128:132] == b"DICM" else _image(data)


def _image(data: bytes) -> Pixels:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        if image.width * image.height > _PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels are too many to show")
        if image.mode.startswith("I"):
            deep = image.convert("I").tobytes("raw", "I;16")
            return Pixels(image.width, image.height, 16, 0, 65535, False, deep)
        grey = image.convert("L")
    return Pixels(grey.width, grey.height, 8, 0, 255, False, grey.tobytes())


def _dicom(data: bytes) -> Pixels:
    import numpy as np
    import pydicom
    from pydicom.pixels import apply_modality_lut

    dataset = pydicom.dcmread(io.BytesIO(data))
    if int(dataset.Rows) * int(dataset.Columns) > _PIXELS or int(dataset.get("NumberOfFrames", 1) or 1) != 1:
        raise ValueError("it is too large, or has several frames")
    values = np.asarray(apply_modality_lut(dataset.pixel_array, dataset), dtype=np.float64)
    if values.ndim != 2:
        raise ValueError("it is in colour")
    low, high = float(values.min()), float(values.max())
    scale = 65535 / (high - low) if high - low > 65535 else 1.0  # whole numbers that fit 16 bits
    shifted = np.clip(np.rint((values - low) * scale), 0, 65535).astype("<u2")
    window = _window(dataset, low, high)
    return Pixels(
        width=int(dataset.Columns),
        height=int(dataset.Rows),
        bits=16,
        low=(window[0] - low) * scale,
        high=(window[1] - low) * scale,
        inverted=str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1",
        data=shifted.tobytes(),
    )


def _window(dataset: object, low: float, high: float) -> tuple[float, float]:
    """The first window of the file, or all values."""
    try:
        centre, width = (getattr(dataset, name) for name in ("WindowCenter", "WindowWidth"))
        first_centre, first_width = (
            float(value if isinstance(value, str | int | float) else value[0]) for value in (centre, width)
        )
    except (AttributeError, TypeError, ValueError, IndexError):
        return low, high
    return (first_centre - first_width / 2, first_centre + first_width / 2) if first_width >= 1 else (low, high)
