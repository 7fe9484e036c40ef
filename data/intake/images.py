"""Images: found inside their folder, decoded once under limits, hashed. What cannot be used is a reason, not an error.

PNG and JPEG of 8 bits stay where they are. What readers do not show alike (DICOM, and what plain.py names) is written
as an 8-bit PNG into the store, named by the SHA-256 of what it came from. Decoding is done in a process of its own
(decoder.py), the only one that imports the libraries for it.
"""

import hashlib
import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...schemas.study import ImageRef
from .decoder import DecodeError, decoder
from .reports import UNKNOWN_VIEW, Refusal

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 128 * 2**20
MAX_PIXELS = 50_000_000  # the largest detectors give some 20 million
SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm")

_OTHERS = (  # where a kind's mark stands, the mark, its name
    (0, b"GIF8", "GIF"), (0, b"BM", "BMP"), (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"), (8, b"WEBP", "WebP"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"), (0, b"\xff\x4f\xff\x51", "JPEG 2000"), (4, b"ftyp", "HEIC or AVIF"),
    (0, b"\xff\x0a", "JPEG XL"), (0, b"\0\0\0\x0cJXL ", "JPEG XL"), (0, b"%PDF", "PDF"), (0, b"NRRD", "NRRD"),
    (344, b"n+1\0", "NIfTI"), (0, b"\x1f\x8b", "a gzip file: unpack it"), (0, b"PK\x03\x04", "a zip file: unpack it"),
)  # fmt: skip


class ImageFile(NamedTuple):
    """An image as a source names it: its file, and its view; or its bytes, where a table holds them."""

    path: Path
    view: str = UNKNOWN_VIEW
    data: bytes | None = None


class Admitted(NamedTuple):
    """An image that was decoded, and what was odd about it (code, detail)."""

    ref: ImageRef
    warnings: tuple[tuple[str, str], ...]


class Decoded(NamedTuple):
    """What a file's bytes are."""

    size: tuple[int, int]  # width, height
    png: bytes | None  # what takes the file's place, if it cannot stay
    view: str
    warnings: tuple[tuple[str, str], ...]


def admit(
    path: Path, root: Path, converted: Path | None, view: str = UNKNOWN_VIEW, longest_side: int | None = None
) -> Admitted | Refusal:
    """Decode an image once and describe it.

    Args:
        path: the file; it must lie under `root`, also after links are followed.
        root: the folder that the source was given.
        converted: the store's folder for converted images; without it, an image that needs it is refused.
        view: as the source names it; if unknown, a DICOM file's own.
        longest_side: pixels; a larger picture is kept as a copy of this size.
    """
    place = locate(path, root)
    if isinstance(place, Refusal):
        return place
    data = read_limited(place, MAX_BYTES, "large_file")
    return data if isinstance(data, Refusal) else _admit(data, place, converted, view, longest_side)


def admit_bytes(
    data: bytes, converted: Path | None, view: str = UNKNOWN_VIEW, longest_side: int | None = None
) -> Admitted | Refusal:
    """The same for an image that a table holds: it is written into the store's folder for images."""
    if len(data) > MAX_BYTES:
        return Refusal("large_file", f"an image of {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    return _admit(data, None, converted, view, longest_side)


def _admit(
    data: bytes, place: Path | None, converted: Path | None, view: str, longest_side: int | None
) -> Admitted | Refusal:
    try:
        decoded = decoder().run(decode, data, longest_side)
    except DecodeError as error:
        return Refusal(error.reason, error.detail)
    if isinstance(decoded, Refusal):
        return decoded
    digest = hashlib.sha256(data).hexdigest()
    original = None
    if decoded.png is not None or place is None:
        if converted is None:
            return Refusal("unsupported_format", "the image must be converted, and there is no folder for that")
        if decoded.png is not None:
            digest, name = keep(decoded.png, converted, digest)
            original = None if place is None else _from_store(place, converted.parent)
        else:
            suffix = ".png" if data.startswith(b"\x89PNG") else ".jpg"
            name = _write(data, converted, f"{digest}{suffix}")
    else:
        name = str(place) if converted is None else _from_store(place, converted.parent)
    seen = decoded.view if view == UNKNOWN_VIEW else view
    width, height = decoded.size
    ref = ImageRef(path=name, view=seen, sha256=digest, width=width, height=height, original=original)
    return Admitted(ref, decoded.warnings)


def admit_all(
    images: Iterable[ImageFile], root: Path, converted: Path | None, longest_side: int | None = None
) -> tuple[tuple[ImageRef, ...], tuple[tuple[str, str], ...]] | Refusal:
    """Admit all images of a study: their descriptions and warnings, or why the study cannot have them."""
    refs: list[ImageRef] = []
    odd: list[tuple[str, str]] = []
    for path, view, data in images:
        if data is None:
            admitted = admit(path, root, converted, view, longest_side)
        else:
            admitted = admit_bytes(data, converted, view, longest_side)
        if isinstance(admitted, Refusal):
            return admitted
        refs.append(admitted.ref)
        odd += admitted.warnings
    if not refs:
        return Refusal("no_image", "no image; --text-only takes the report alone")
    return tuple(refs), tuple(odd)


def locate(path: Path, root: Path) -> Path | Refusal:
    """The file's real place, if it is a plain file under `root`."""
    try:
        real = path.resolve()
        if not real.is_relative_to(root.resolve()):
            return Refusal("outside_folder", f"'{path.name}' leads out of the source's folder; copy it into it")
        mode = real.stat().st_mode
        str(real).encode()
    except FileNotFoundError:
        return Refusal("missing_file", f"there is no '{path.name}'")
    except (OSError, ValueError, RuntimeError) as error:  # NUL in a name, a loop of links, a name that is not text
        return Refusal("missing_file", f"{str(path.name)[:80]!a} cannot be opened ({type(error).__name__})")
    if not stat.S_ISREG(mode):
        return Refusal("missing_file", f"'{path.name}' is not a file")
    return real


def read_limited(path: Path, limit: int, reason: str) -> bytes | Refusal:
    """The file's bytes, if they are not more than `limit`."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        return Refusal("missing_file", f"'{path.name}' cannot be read ({error.strerror})")
    if len(data) > limit:
        return Refusal(reason, f"'{path.name}' has more than {limit:,} bytes")
    return data


def decode(data: bytes, longest_side: int | None = None) -> Decoded | Refusal:
    """Decode a file's bytes, whatever they are; called in a process of its own (decoder.py).

    Args:
        data: the file.
        longest_side: pixels; a larger picture is replaced by one of this size.
    """
    from . import dicom, plain

    if data.startswith((plain.PNG, plain.JPEG)):
        picture = plain.decode_plain(data, MAX_PIXELS)
    elif dicom.is_dicom(data):
        picture = dicom.decode(data, MAX_PIXELS)
    else:
        return _unknown(data)
    if isinstance(picture, Refusal):
        return picture
    image, is_converted = picture.image, picture.is_converted
    if longest_side is not None and max(image.size) > longest_side:
        image, is_converted = plain.smaller(image, longest_side), True
    return Decoded(image.size, png_of(image) if is_converted else None, picture.view, picture.warnings)


def _unknown(data: bytes) -> Refusal:
    if not data:
        return Refusal("unreadable_image", "the file is empty")
    for start, magic, name in _OTHERS:
        if data.startswith(magic, start):
            return Refusal("unsupported_format", f"{name}; convert it to PNG")
    detail = "its bytes are neither PNG, JPEG nor DICOM, whatever its name says"
    return Refusal("not_an_image", f"{detail} (no DICM after a preamble of 128 bytes)")


def _from_store(place: Path, store: Path) -> str:
    """A file's path from the store's folder, so that both can be moved together; absolute if they share only `/`."""
    home = store.resolve()
    return str(place) if place.parts[:2] != home.parts[:2] else os.path.relpath(place, home)


def png_of(image: "Image.Image") -> bytes:
    """A picture, without metadata."""
    from .plain import without_metadata

    stream = io.BytesIO()
    without_metadata(image).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def keep(png: bytes, folder: Path, origin: str) -> tuple[str, str]:
    """Write a converted image; its hash, and its path relative to the store."""
    return hashlib.sha256(png).hexdigest(), _write(png, folder, f"{origin}.png")


def _write(data: bytes, folder: Path, name: str) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the store's writer opens it to others, or not
    temporary = folder / f"{name}.{os.getpid()}.partial"  # two workers may meet the same image
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    temporary.rename(folder / name)
    return f"{folder.name}/{name}"
