"""A DICOM file as an 8-bit picture: read whole or refused, and shown as the file says (voi.py, window.py).

Of the header it reads what the picture needs, the view, the body part, and whether this is a radiograph that may be
used; no name, no date, no identifier. A file is refused before its pixels are decoded if they are no film of this
modality, if names may be burned into them, or if they could fill the memory.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...schemas.views import view_kinds
from .dicom_frames import expected_length, unfit_frame
from .plain import Picture
from .reports import UNKNOWN_VIEW, Refusal
from .voi import FUNCTIONS, function_of, numbers, rendering_of, whole
from .window import odd_greys, to_grey8

_DEFLATED = b"1.2.840.10008.1.2.1.99"  # Deflated Explicit VR: unpacked whole before anything can be checked
_CHEST = ("CHEST", "THORAX", "LUNG", "TORAX")
_RADIOGRAPHS = ("CR", "DX", "RG", "DR", "XR")
_PERHAPS = ("OT", "SC", "RF")  # converted, captured from a screen, a still of fluoroscopy: may be a radiograph
_GREY, _COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_FIRST_TAGS = (b"\x02\0\0\0", b"\x02\0\x01\0", b"\x02\0\x02\0", b"\x02\0\x10\0", b"\x08\0\0\0", b"\x08\0\x01\0",
               b"\x08\0\x05\0", b"\x08\0\x08\0", b"\x08\0\x12\0", b"\x08\0\x16\0", b"\x08\0\x18\0")  # fmt: skip
_MANY = 0.01  # share of pixels


def is_dicom(data: bytes) -> bool:
    """Whether the bytes open as a DICOM file (PS3.10: 128 bytes, then DICM), or as a data set without that."""
    return data[128:132] == b"DICM" or data[:4] == b"DICM" or (data[:4] in _FIRST_TAGS and len(data) > 132)


def decode(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Decode a DICOM file's bytes, or say why not."""
    import pydicom

    if data[:4] == b"DICM":
        data = data[4:]
    if _DEFLATED in data[:4096]:
        return Refusal("unsupported_format", "a deflated DICOM file; store it uncompressed")
    with _quiet():
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            refusal = _unnamed_syntax(dataset) or _unfit(dataset) or unfit_frame(dataset, max_pixels)
            return refusal or _render(dataset)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  a parser raises whatever damaged bytes make it trip over
            bare = "" if data[128:132] == b"DICM" else ", and lacks the preamble and DICM that open one"
            return Refusal("unreadable_image", f"the DICOM file is damaged or cut off{bare} ({_line(error)})")


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


def _unnamed_syntax(dataset: Any) -> Refusal | None:
    """Without file meta information the encoding of the data set is known, and that of compressed pixels is not."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if dataset.file_meta.get("TransferSyntaxUID"):
        return None
    if bytes(dataset.get("PixelData") or b"")[:4] == b"\xfe\xff\x00\xe0":
        return Refusal(
            "unsupported_format", "compressed pixels without a transfer syntax (the file lacks its preamble)"
        )
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return None


def _unfit(dataset: Any) -> Refusal | None:
    """Why this is no radiograph that may be used."""
    modality = _text(dataset, "Modality").upper()
    if modality and modality not in (*_RADIOGRAPHS, *_PERHAPS):
        return Refusal("other_modality", f"Modality is {modality[:16]}; a radiograph is CR or DX")
    if _text(dataset, "BurnedInAnnotation").upper() == "YES":
        detail = "BurnedInAnnotation is YES: names may stand in its pixels; clean them, then set it to NO"
        return Refusal("burned_in_annotation", detail)
    if "PixelData" not in dataset:
        other = any(name in dataset for name in ("FloatPixelData", "DoubleFloatPixelData"))
        detail = "pixels are fractions; a radiograph has whole numbers" if other else "the DICOM file holds no picture"
        return Refusal("unsupported_format" if other else "unreadable_image", detail)
    samples, bits = whole(dataset, "SamplesPerPixel") or 1, int(dataset.BitsAllocated)
    kind = _text(dataset, "PhotometricInterpretation").upper()
    if not ((kind in _GREY and samples == 1 and bits in (8, 16)) or (kind in _COLOUR and samples == 3 and bits == 8)):
        seen = f"{kind or 'no PhotometricInterpretation'}, {samples} samples of {bits} bits"
        return Refusal("unsupported_format", f"{seen}; a radiograph is grey with at most 16 bits, or 8-bit RGB")
    return None


def _render(dataset: Any) -> Picture | Refusal:
    from pydicom.pixels import pixel_array

    found = list(_odd_header(dataset))
    if whole(dataset, "SamplesPerPixel") == 3:
        image = Image.fromarray(np.ascontiguousarray(pixel_array(dataset)))
        counts = np.array(image.convert("L").histogram())
        found.append(("colour", "the film is stored in colour"))
    else:
        pixels, odd = _stored_values(dataset)
        rendering = rendering_of(dataset)
        grey = to_grey8(pixels, rendering)
        if isinstance(grey, Refusal):
            return grey
        if grey.window is None and (rendering.voi or numbers(dataset, "WindowCenter")):
            found.append(("window_ignored", "the file's own window shows next to nothing; percentiles were used"))
        elif grey.window:
            found.append(("window_ignored", "the file's first window shows next to nothing; its next was used"))
        image, counts = Image.fromarray(grey.pixels), grey.counts
        found += odd
    odd_picture = odd_greys(counts)
    if isinstance(odd_picture, Refusal):
        return odd_picture
    return Picture(image, True, _view(dataset), (*found, *odd_picture))


def _stored_values(dataset: Any) -> tuple[NDArray[np.integer[Any]], tuple[tuple[str, str], ...]]:
    """Pixels less the bits above those that are stored (PS3.5 8.1.1), which overlays and noise may use."""
    from pydicom.pixels import pixel_array

    pixels: NDArray[np.integer[Any]] = pixel_array(dataset, correct_unused_bits=False)
    allocated, stored = 8 * pixels.dtype.itemsize, whole(dataset, "BitsStored") or 0
    if not 0 < stored < allocated:
        return pixels, ()
    signed = np.issubdtype(pixels.dtype, np.signedinteger)
    lowest, highest = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    outside = np.count_nonzero((pixels < lowest) | (pixels > highest)) / pixels.size
    if not outside:
        return pixels, ()
    shift = (whole(dataset, "HighBit") or 0) + 1 - stored
    if not 0 < shift <= allocated - stored:
        shift = 0
        if outside > _MANY and not _has_overlay(dataset):  # no noise: these are values
            share = f"{outside:.0%} of its pixels"
            return pixels, (("more_bits", f"BitsStored is {stored}, and {share} use more; all bits were taken"),)
    bare = (pixels.view(f"u{pixels.dtype.itemsize}") >> shift).astype(np.int32) & ((1 << stored) - 1)
    sign = 1 << stored - 1
    return ((bare ^ sign) - sign if signed else bare), ()


def _has_overlay(dataset: Any) -> bool:
    """Whether an overlay lies in the pixels' unused bits (group 60xx without data of its own)."""
    return any((group, 0x0102) in dataset and (group, 0x3000) not in dataset for group in range(0x6000, 0x6020, 2))


def _odd_header(dataset: Any) -> Iterator[tuple[str, str]]:
    from pydicom.uid import UID

    modality, part = _text(dataset, "Modality").upper(), _text(dataset, "BodyPartExamined").upper()
    storage = UID(_text(dataset, "SOPClassUID")).name
    if modality in _PERHAPS:
        yield "other_modality", f"Modality is {modality}; whether it is a radiograph is not known"
    elif not modality and any(name in storage for name in ("CT ", "MR ", "Ultrasound", "Positron", "Mammography")):
        yield "other_modality", f"the header names no Modality, and the file is a {storage[:60]}"
    if part and not any(name in part for name in _CHEST):
        yield "other_body_part", f"BodyPartExamined is {part[:40]}, not the chest"
    if not dataset.file_meta.TransferSyntaxUID.is_compressed:
        extra = len(dataset.PixelData) - expected_length(dataset)
        if extra > 1:  # one makes the number even
            yield "extra_pixel_bytes", f"{extra:,} bytes behind the last pixel were not read"
    if (function := function_of(dataset)) not in FUNCTIONS:
        yield "unknown_voi_function", f"VOILUTFunction is {function[:24]}; it was taken as LINEAR"
    shape = _text(dataset, "PresentationLUTShape").upper()
    kind = _text(dataset, "PhotometricInterpretation").upper()
    if (shape, kind) in (("INVERSE", "MONOCHROME2"), ("IDENTITY", "MONOCHROME1")):
        yield "greys_contradict", f"{kind} with PresentationLUTShape {shape}; low values were shown white"


def _view(dataset: Any) -> str:
    """View Position, else the view code, in the file's words."""
    if position := _text(dataset, "ViewPosition"):
        return position[:32]
    for item in dataset.get("ViewCodeSequence") or ():
        meaning, code = _text(item, "CodeMeaning"), _text(item, "CodeValue")
        if meaning and view_kinds(meaning):
            return meaning[:32]
        if kinds := view_kinds(code):
            return next(iter(kinds - {"frontal"}), "frontal")
        if meaning:
            return meaning[:32]
    return UNKNOWN_VIEW


def _text(dataset: Any, name: str) -> str:
    return "".join(c for c in str(dataset.get(name) or "") if c.isprintable()).strip()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
