"""Whether the pixels of a DICOM file may be decoded: their number, a decoder for them, and what the frame says itself.

A compressed frame says its own size, and a decoder believes it: one that says another than the header could fill the
memory. Every frame of a JPEG family is therefore measured first. Parsing here goes forward at every step, so that no
bytes can keep it busy for ever.
"""

import io
from typing import Any

from PIL import Image

from ...schemas.errors import install_command
from .reports import Refusal

_JP2 = b"\x00\x00\x00\x0cjP  "  # a frame should be the bare codestream; some writers leave its container on
_START = b"\xff\x4f\xff\x51"  # JPEG 2000: SOC, then SIZ


def unfit_frame(dataset: Any, max_pixels: int) -> Refusal | None:
    """Why the pixels must not be decoded, found without decoding them."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEG2000TransferSyntaxes, RLELossless

    rows, columns, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        return Refusal("unsupported_format", f"{frames} frames; a radiograph has one")
    if rows < 1 or columns < 1:
        return Refusal("unreadable_image", f"the header says {columns} x {rows} pixels")
    if rows * columns > max_pixels:
        return Refusal("large_image", f"{columns} x {rows} pixels; at most {max_pixels:,} are allowed")
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return _unfit_length(dataset)
    try:
        if not get_decoder(syntax).is_available:
            way = install_command("jpeg2000") if syntax in JPEG2000TransferSyntaxes else "store them uncompressed"
            return Refusal("missing_codec", f"no decoder is installed for {syntax.name} pixels: {way}")
    except NotImplementedError:
        return Refusal("unsupported_format", f"{syntax.name} pixels; store them uncompressed or as JPEG 2000")
    if syntax == RLELossless:  # says no size; its decoder fills what the header asks for
        return None
    return _unfit_size(dataset, (columns, rows))


def expected_length(dataset: Any) -> int:
    """Bytes of uncompressed pixels, by the header."""
    samples, bits = int(dataset.get("SamplesPerPixel") or 1), int(dataset.BitsAllocated)
    length = int(dataset.Rows) * int(dataset.Columns) * samples * bits // 8
    return length * 2 // 3 if dataset.PhotometricInterpretation == "YBR_FULL_422" else length


def _unfit_length(dataset: Any) -> Refusal | None:
    expected, held = expected_length(dataset), len(dataset.PixelData)
    if held < expected:
        detail = f"the header asks for {expected:,} bytes of pixels, and the file holds {held:,}"
        return Refusal("unreadable_image", detail)
    if held >= 2 * expected:
        return Refusal("unsupported_format", f"pixels of {held // expected} frames; a radiograph has one")
    return None


def _unfit_size(dataset: Any, size: tuple[int, int]) -> Refusal | None:
    from pydicom.encaps import get_frame

    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if frame.startswith(_JP2) and (refusal := _unfit_container(frame)):
        return refusal
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if frame.startswith((_JP2, _START)):
        try:
            with Image.open(io.BytesIO(frame), formats=("JPEG2000",)) as picture:
                inside, components = picture.size, len(picture.getbands())
        except Image.DecompressionBombError as error:
            return Refusal("large_image", " ".join(str(error).split())[:200])
    elif (found := _jpeg_size(frame)) is not None:
        inside, components = found
    else:
        return Refusal("unreadable_image", "the compressed frame is damaged: it does not say its size")
    if inside != size or components != samples:
        seen = f"{inside[0]} x {inside[1]} x {components}"
        return Refusal("unreadable_image", f"the header says {size[0]} x {size[1]} x {samples}, the frame {seen}")
    return None


def _unfit_container(frame: bytes) -> Refusal | None:
    """A JP2 file's boxes must lead to the codestream; one without a length would keep a parser where it is."""
    at = len(_JP2) + 4
    while at + 8 <= len(frame):
        length, kind = int.from_bytes(frame[at : at + 4]), frame[at + 4 : at + 8]
        if kind == b"jp2c":
            return None
        if length < 8:
            break
        at += length
    return Refusal("unreadable_image", "the JPEG 2000 frame is damaged: its boxes lead nowhere")


def _jpeg_size(frame: bytes) -> tuple[tuple[int, int], int] | None:
    """Width, height and components of a JPEG or JPEG-LS frame, by its start-of-frame marker; none if there is none."""
    if not frame.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        kind = frame[at + 1]
        if kind == 0xF7 or (0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):
            height, width = int.from_bytes(frame[at + 5 : at + 7]), int.from_bytes(frame[at + 7 : at + 9])
            return (width, height), frame[at + 9]
        # a fill byte, or a segment with its length
        at += 1 if kind == 0xFF else 2 + max(2, int.from_bytes(frame[at + 2 : at + 4]))
    return None
