"""Images: found inside their folder, limited, decoded once, hashed. What cannot be used is a reason, not an error.

PNG and JPEG of 8 bits stay where they are. What a student could not read as it is (DICOM, 16-bit PNG, a JPEG
that asks to be turned) is written as an 8-bit PNG into the store, named by the SHA-256 of what it came from.
The libraries that decode are imported when there is something to decode: a source of texts does without.
"""

import hashlib
import io
import os
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...schemas.study import ImageRef
from .reports import UNKNOWN_VIEW, Refusal

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 128 * 2**20
MAX_PIXELS = 50_000_000  # the largest detectors give some 20 million
SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm")

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_OTHERS = ((b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"RIFF", "WebP"))
_ORIENTATION = 0x0112  # EXIF tag


class ImageFile(NamedTuple):
    """An image as a source names it: its file, and its view; or its bytes, where a table holds them."""

    path: Path
    view: str = UNKNOWN_VIEW
    data: bytes | None = None


class Admitted(NamedTuple):
    """An image that was decoded, and what was odd about it (code, detail)."""

    ref: ImageRef
    warnings: tuple[tuple[str, str], ...]


class _Decoded(NamedTuple):
    size: tuple[int, int]
    replacement: "Image.Image | None"
    view: str
    warnings: tuple[tuple[str, str], ...]


def admit(path: Path, root: Path, converted: Path | None, view: str = UNKNOWN_VIEW) -> Admitted | Refusal:
    """Decode an image once and describe it.

    Args:
        path: the file; it must lie under `root`, also after links are followed.
        root: the folder that the source was given.
        converted: the store's folder for converted images; without it, an image that needs it is refused.
        view: as the source names it; if unknown, a DICOM file's own.
    """
    place = locate(path, root)
    if isinstance(place, Refusal):
        return place
    data = read_limited(place, MAX_BYTES, "large_file")
    return data if isinstance(data, Refusal) else _admit(data, place, converted, view)


def admit_bytes(data: bytes, converted: Path | None, view: str = UNKNOWN_VIEW) -> Admitted | Refusal:
    """The same for an image that a table holds: it is written into the store's folder for images."""
    if len(data) > MAX_BYTES:
        return Refusal("large_file", f"an image of {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    return _admit(data, None, converted, view)


def _admit(data: bytes, place: Path | None, converted: Path | None, view: str) -> Admitted | Refusal:
    decoded = _decode(data)
    if isinstance(decoded, Refusal):
        return decoded
    digest = hashlib.sha256(data).hexdigest()
    if decoded.replacement is not None or place is None:
        if converted is None:
            return Refusal("unsupported_format", "the image must be converted, and there is no folder for that")
        if decoded.replacement is not None:
            digest, name = keep(decoded.replacement, converted, digest)
        else:
            name = _write(data, converted, f"{digest}{'.png' if data.startswith(_PNG) else '.jpg'}")
    else:
        name = str(place)
    seen = decoded.view if view == UNKNOWN_VIEW else view
    width, height = decoded.size
    return Admitted(ImageRef(path=name, view=seen, sha256=digest, width=width, height=height), decoded.warnings)


def admit_all(
    images: Iterable[ImageFile], root: Path, converted: Path | None
) -> tuple[tuple[ImageRef, ...], tuple[tuple[str, str], ...]] | Refusal:
    """Admit all images of a study: their descriptions and warnings, or why the study cannot have them."""
    refs: list[ImageRef] = []
    odd: list[tuple[str, str]] = []
    for path, view, data in images:
        admitted = admit(path, root, converted, view) if data is None else admit_bytes(data, converted, view)
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


def _decode(data: bytes) -> _Decoded | Refusal:
    if data.startswith((_PNG, _JPEG)):
        return _decode_plain(data)
    from . import dicom

    if dicom.is_dicom(data):
        picture = dicom.decode(data, MAX_PIXELS)
        if isinstance(picture, Refusal):
            return picture
        return _Decoded(picture.image.size, picture.image, picture.view, picture.warnings)
    if not data:
        return Refusal("unreadable_image", "the file is empty")
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return Refusal("unsupported_format", f"{name}; convert it to PNG")
    return Refusal("not_an_image", "its bytes are neither PNG, JPEG nor DICOM, whatever its name says")


def _decode_plain(data: bytes) -> _Decoded | Refusal:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # size is checked here, and odd metadata does no harm
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    return Refusal("large_image", f"{width} x {height} pixels; at most {MAX_PIXELS:,} are allowed")
                if getattr(image, "n_frames", 1) != 1:
                    return Refusal("unsupported_format", "several frames; a radiograph has one")
                image.load()
                return _ready(image)
        except Image.DecompressionBombError as error:
            return Refusal("large_image", str(error))
        except Exception as error:  # noqa: BLE001  a decoder raises whatever damaged bytes make it trip over
            return Refusal("unreadable_image", f"damaged or cut off ({str(error)[:120] or type(error).__name__})")


def _ready(image: "Image.Image") -> _Decoded | Refusal:
    from PIL import Image, ImageOps

    found: list[tuple[str, str]] = []
    replacement = None
    if image.mode.startswith("I"):  # 16 bits; a plain conversion would clip nearly all of it to white
        import numpy as np

        from .window import to_grey8

        grey, _ = to_grey8(np.asarray(image))
        if grey is None:
            return Refusal("unreadable_image", "all its pixels are alike")
        replacement = Image.fromarray(grey)
        found.append(("windowed_16_bit", "a 16-bit image was windowed to 8 bits by percentiles"))
    turn = image.getexif().get(_ORIENTATION, 1)
    if turn in range(2, 9):
        turned = image if replacement is None else replacement
        turned.getexif()[_ORIENTATION] = turn
        replacement = ImageOps.exif_transpose(turned)
        found.append(("turned_by_exif", f"EXIF orientation {turn} was applied"))
    return _Decoded((replacement or image).size, replacement, UNKNOWN_VIEW, tuple(found))


def keep(image: "Image.Image", folder: Path, origin: str) -> tuple[str, str]:
    """Write a converted image; its hash, and its path relative to the store."""
    bare = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    bare.info.clear()  # comments and EXIF of the original may name people
    stream = io.BytesIO()
    bare.save(stream, "PNG", compress_level=3)
    return hashlib.sha256(stream.getvalue()).hexdigest(), _write(stream.getvalue(), folder, f"{origin}.png")


def _write(data: bytes, folder: Path, name: str) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the store's writer opens it to others, or not
    temporary = folder / f"{name}.{os.getpid()}.partial"  # two workers may meet the same image
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    temporary.rename(folder / name)
    return f"{folder.name}/{name}"
