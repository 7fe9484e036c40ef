"""A DICOM file as an 8-bit grey picture: decoded, windowed as the file says, MONOCHROME1 turned so that bone is white.

Of the header it reads what the picture needs, the view and the body part; no name, no date, no identifier.
Windowing follows DICOM PS3.3 C.11 (modality LUT, then the first VOI LUT or window); where that is absent or
would show nothing, percentiles are used instead.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from PIL import Image

from .reports import Refusal
from .window import to_grey8

_DEFLATED = b"1.2.840.10008.1.2.1.99"  # Deflated Explicit VR: unpacked whole before anything can be checked
_CHEST = ("CHEST", "THORAX", "LUNG")


class Picture(NamedTuple):
    """What was decoded."""

    image: Image.Image
    view: str
    warnings: tuple[tuple[str, str], ...]


def is_dicom(data: bytes) -> bool:
    """Whether the bytes open as a DICOM file (PS3.10: 128 bytes, then DICM)."""
    return data[128:132] == b"DICM"


def decode(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Decode a DICOM file's bytes, or say why not."""
    import pydicom

    if _DEFLATED in data:
        return Refusal("unsupported_format", "a deflated DICOM file; store it uncompressed")
    with _quiet():
        try:
            dataset = pydicom.dcmread(io.BytesIO(data))
            return _unfit(dataset, max_pixels) or _render(dataset)
        except Exception as error:  # noqa: BLE001  a parser raises whatever damaged bytes make it trip over
            return Refusal("unreadable_image", f"the DICOM file is damaged or cut off ({_line(error)})")


@contextmanager
def _quiet() -> Iterator[None]:
    """Pydicom warns of and logs header values, which may name people, and which are not read here."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _unfit(dataset: Any, max_pixels: int) -> Refusal | None:
    """Why the pixels must not be decoded; found without decoding them."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEG2000TransferSyntaxes

    if "PixelData" not in dataset:
        return Refusal("unreadable_image", "the DICOM file holds no picture")
    rows, columns, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        return Refusal("unsupported_format", f"{frames} frames; a radiograph has one")
    if rows * columns > max_pixels:
        return Refusal("large_image", f"{columns} x {rows} pixels; at most {max_pixels:,} are allowed")
    if not str(dataset.PhotometricInterpretation).startswith("MONOCHROME") or int(dataset.BitsAllocated) > 16:
        kind = f"{dataset.PhotometricInterpretation} with {dataset.BitsAllocated} bits"
        return Refusal("unsupported_format", f"{kind}; a radiograph is grey with at most 16 bits")
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return None
    try:
        if not get_decoder(syntax).is_available:
            way = "pip install 'tenstep[jpeg2000]'" if syntax in JPEG2000TransferSyntaxes else "store them uncompressed"
            return Refusal("missing_codec", f"no decoder is installed for {syntax.name} pixels: {way}")
    except NotImplementedError:
        return Refusal("unsupported_format", f"{syntax.name} pixels; store them uncompressed or as JPEG 2000")
    return _lies_about_size(dataset, (columns, rows))


def _lies_about_size(dataset: Any, size: tuple[int, int]) -> Refusal | None:
    """A compressed frame says its own size; one that is not the header's could fill the memory."""
    from pydicom.encaps import get_frame

    try:
        with Image.open(io.BytesIO(get_frame(dataset.PixelData, 0, number_of_frames=1))) as frame:
            inside = frame.size
    except Image.DecompressionBombError as error:
        return Refusal("large_image", _line(error))
    except OSError:  # RLE and others, whose decoders fill what the header asks for
        return None
    if inside != size:
        return Refusal("unreadable_image", f"the header says {size[0]} x {size[1]} pixels, the frame {inside}")
    return None


def _render(dataset: Any) -> Picture | Refusal:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    has_window = "VOILUTSequence" in dataset or ("WindowCenter" in dataset and "WindowWidth" in dataset)

    def display(values: Any) -> Any:
        try:
            return apply_voi_lut(apply_modality_lut(values, dataset), dataset, index=0)
        except ValueError:  # a width of 0, say: such a window shows nothing
            return values * 0

    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    grey, used = to_grey8(dataset.pixel_array, display if has_window else None, inverted=inverted)
    if grey is None:
        return Refusal("unreadable_image", "all its pixels are alike")
    found = []
    if has_window and not used:
        found.append(("window_ignored", "the file's own window shows next to nothing; percentiles were used"))
    part = str(dataset.get("BodyPartExamined") or "").strip().upper()
    if part and not any(name in part for name in _CHEST):
        found.append(("other_body_part", f"BodyPartExamined is {part[:40]}, not the chest"))
    view = str(dataset.get("ViewPosition") or "").strip()[:16] or "unknown"
    return Picture(Image.fromarray(grey), view, tuple(found))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
