"""Images on their way to a teacher: whole, checked against the study, no larger than declared, without metadata.

A JPEG or PNG that is small enough goes as its own compressed bytes, less EXIF, comments and text chunks, which may
name people. Any other is decoded, made smaller (never larger) and encoded as PNG or JPEG, by us and not by the
provider, so that what was seen is known: `TRANSFORM` and the size go into a teacher's identity.
"""

import base64
import hashlib
import io
import re
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ...schemas.errors import ImageError
from ...schemas.study import ImageRef

TRANSFORM = "as-is-or-lanczos-jpeg-92@1"
_PIXELS = 100_000_000
_BYTES = 3_700_000  # of one image; Anthropic takes 5 MB of base64
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sBIT", b"gAMA"})
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in a JPEG's picture: not a byte of it, nor a restart
_EXIF_ORIENTATION = 274


MediaType = Literal["image/jpeg", "image/png"]


class Encoded(NamedTuple):
    """An image in a request."""

    media_type: MediaType
    base64: str

    @property
    def data_uri(self) -> str:
        """As OpenAI's API takes it."""
        return f"data:{self.media_type};base64,{self.base64}"


def encode(path: Path, ref: ImageRef, max_side: int) -> Encoded:
    """Read and prepare one image.

    Args:
        path: its file.
        ref: what the study says of it.
        max_side: pixels of the longer side.

    Raises:
        ImageError: the file is missing, is no whole image, or is another than at ingest.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"the image cannot be read ({error.strerror}); restore it, or ingest again", file=path
        ) from None
    if hashlib.sha256(content).hexdigest() != ref.sha256:
        raise ImageError("the image is not the one that was ingested; ingest again", file=path)
    bare = _bare(content) if max(ref.width, ref.height) <= max_side else None
    if bare is not None and len(bare) <= _BYTES:
        return Encoded("image/png" if bare.startswith(_PNG) else "image/jpeg", base64.b64encode(bare).decode())
    return Encoded("image/jpeg", base64.b64encode(_smaller(content, max_side, path)).decode())


def _smaller(content: bytes, max_side: int, path: Path) -> bytes:
    from PIL import Image

    from ...data.intake.plain import orientation, turned

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is not kept; size is checked here
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > _PIXELS:
                    raise ImageError(
                        f"{image.width} x {image.height} pixels are too many; ingest again with --longest-side",
                        file=path,
                    )
                image.draft(None, (max_side, max_side))  # JPEG decodes at a fraction; nothing else is touched
                upright = turned(image, orientation(image))
    except ImageError:
        raise
    except Exception as error:  # noqa: BLE001  a decoder raises whatever damaged bytes make it trip over
        raise ImageError(
            f"the image cannot be decoded ({type(error).__name__}); restore it, or ingest again", file=path
        ) from None
    upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    upright.save(stream, "JPEG", quality=92)
    return stream.getvalue()


def _bare(content: bytes) -> bytes | None:
    """A JPEG or PNG without what is not picture; none if it must be decoded first: other formats, turned by EXIF."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            if content.startswith(_PNG):
                return _PNG + b"".join(_png_chunks(content))
            if content.startswith(b"\xff\xd8"):
                return b"\xff\xd8" + b"".join(_jpeg_segments(content))
    except (struct.error, IndexError, ValueError, SyntaxError, OSError):
        return None  # not as the format says, as is an EXIF block in several segments; the decoder will tell
    return None


def _png_chunks(content: bytes) -> Iterator[bytes]:
    at = len(_PNG)
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if kind in _PNG_KEPT:
            yield content[at : at + size + 12]
        elif kind == b"eXIf":
            raise ValueError("may turn the picture")
        at += size + 12
        if kind == b"IEND":
            return
    raise ValueError("the file ends too early")


def _jpeg_segments(content: bytes) -> Iterator[bytes]:
    at = 2
    while True:
        (marker,) = struct.unpack_from(">H", content, at)
        if marker == 0xFFD9:
            yield content[at : at + 2]  # and nothing that was put behind the end
            return
        if not 0xFFC0 <= marker <= 0xFFFE:
            raise ValueError("no segment")
        end = at + 2 + struct.unpack_from(">H", content, at + 2)[0]
        if marker == 0xFFE1 and _turned(content[at + 4 : end]):
            raise ValueError("turned")
        if marker == 0xFFDA:  # the picture follows, up to the next marker that is none of its own
            after = _MARKER.search(content, end)
            if after is None:
                raise ValueError("the file ends too early")
            end = after.start()
        # kept: APP0 (JFIF) and APP14 (Adobe's colour transform); dropped: other APPn, COM
        if not (0xFFE1 <= marker <= 0xFFEF and marker != 0xFFEE) and marker != 0xFFFE:
            yield content[at:end]
        at = end


def _turned(segment: bytes) -> bool:
    if not segment.startswith(b"Exif\0\0"):
        return False
    from PIL import Image

    exif = Image.Exif()
    exif.load(segment)
    return exif.get(_EXIF_ORIENTATION, 1) not in (0, 1)
