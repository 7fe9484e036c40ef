"""PNG and JPEG: decoded once, and turned into what every reader shows alike where they are not.

8 bits of grey or RGB stay as they are. Readers differ on the rest, so it becomes an 8-bit picture here: 16 bits a
channel (windowed by percentiles; most readers keep the high byte, of which a 12-bit film uses a sixteenth),
transparency (over black, the background of a film), CMYK, and EXIF orientation.
"""

import io
import struct
import warnings
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from .reports import UNKNOWN_VIEW, Refusal
from .window import Rendering, odd_greys, to_grey8

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
ORIENTATION = 0x0112  # EXIF tag
_COLOURED, _SHARE = 40, 0.1  # difference of channels, and share of pixels that have it, of a picture in colour


class Picture(NamedTuple):
    """A decoded file."""

    image: Image.Image
    is_converted: bool  # it must be kept in the file's place
    view: str
    warnings: tuple[tuple[str, str], ...]  # what was odd: code and detail


def decode_plain(data: bytes, max_pixels: int) -> Picture | Refusal:
    """Decode a PNG or JPEG file's bytes, or say why not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # size is checked here, and odd metadata does no harm
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                width, height = image.size
                if width * height > max_pixels:
                    return Refusal("large_image", f"{width} x {height} pixels; at most {max_pixels:,} are allowed")
                if getattr(image, "n_frames", 1) != 1:
                    return Refusal("unsupported_format", "several frames; a radiograph has one")
                image.load()
                return _ready(image, data)
        except Image.DecompressionBombError as error:
            return Refusal("large_image", str(error))
        except UnidentifiedImageError:
            return Refusal(
                "unreadable_image", "damaged or cut off, or of a kind that is not decoded (12-bit JPEG, ...)"
            )
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  a decoder raises whatever damaged bytes make it trip over
            return Refusal("unreadable_image", f"damaged or cut off ({str(error)[:120] or type(error).__name__})")


def without_metadata(image: Image.Image) -> Image.Image:
    """The pixels alone, grey or RGB: comments, EXIF and profiles may name people, and may be too long to be written."""
    plain = image.convert("L" if image.mode in ("1", "L", "LA", "I", "I;16", "F") else "RGB")
    bare = Image.new(plain.mode, plain.size)
    bare.paste(plain)
    return bare


def smaller(image: Image.Image, longest_side: int) -> Image.Image:
    """The same picture with so many pixels at its longer side."""
    plain = without_metadata(image)
    plain.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    return plain


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, where there is none or the metadata is damaged."""
    try:
        turn = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001  damaged metadata of a whole picture makes a parser raise anything
        return 1
    return turn if turn in range(2, 9) else 1


def turned(image: Image.Image, turn: int) -> Image.Image:
    """The pixels alone, as an EXIF orientation asks."""
    bare = without_metadata(image)
    bare.getexif()[ORIENTATION] = turn
    return ImageOps.exif_transpose(bare)


def _ready(image: Image.Image, data: bytes) -> Picture | Refusal:
    found: list[tuple[str, str]] = []
    replacement: Image.Image | None = None
    if data.startswith(PNG) and data[24] == 16:  # IHDR's bit depth
        grey = _windowed(data, image)
        if isinstance(grey, Refusal):
            return grey
        replacement = grey
        found.append(("windowed_16_bit", "a 16-bit image was windowed to 8 bits by percentiles"))
    elif image.has_transparency_data and _alpha(image).getextrema() != (255, 255):
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        replacement = without_metadata(Image.alpha_composite(black, image.convert("RGBA")))
        found.append(("transparent", "its transparent parts were laid on black"))
    elif image.mode == "CMYK":
        replacement = without_metadata(image)
        found.append(("converted_cmyk", "inks (CMYK), which readers show differently, were converted to RGB"))
    if (turn := orientation(image)) != 1:
        replacement = turned(replacement or image, turn)
        found.append(("turned_by_exif", f"EXIF orientation {turn} was applied"))
    shown = replacement or image
    if _is_coloured(shown):
        found.append(("colour", "the picture is in colour; a radiograph is grey"))
    odd = odd_greys(np.array(shown.convert("L").histogram()))
    if isinstance(odd, Refusal):
        return odd
    return Picture(shown, replacement is not None, UNKNOWN_VIEW, (*found, *odd))


def _alpha(image: Image.Image) -> Image.Image:
    return image.convert("RGBA").getchannel("A")


def _is_coloured(image: Image.Image) -> bool:
    if image.mode not in ("RGB", "RGBA", "P", "CMYK", "YCbCr"):
        return False
    small = image.convert("RGB").reduce(max(1, min(image.size) // 128))
    pixels = np.asarray(small, np.int16)
    return bool(np.mean(np.ptp(pixels, axis=2) > _COLOURED) > _SHARE)


def _windowed(data: bytes, image: Image.Image) -> Image.Image | Refusal:
    """A 16-bit PNG in 8 bits; colour becomes grey, and what is transparent black."""
    deep = _deep(data, image)
    pixels: NDArray[Any] = deep[..., 0].astype(np.uint32)
    if deep.shape[-1] > 2:  # a channel at a time: a film may have 50 million pixels
        pixels = (pixels * 299 + deep[..., 1] * np.uint32(587) + deep[..., 2] * np.uint32(114) + 500) // 1000
    padding = None
    if deep.shape[-1] in (2, 4):
        alpha = deep[..., -1]
        pixels = pixels * alpha // 0xFFFF + 1  # at most 65535 squared, which 32 bits hold
        pixels[alpha == 0] = 0
        padding = (0, 0)
    shown = to_grey8(pixels, Rendering(padding=padding))
    return shown if isinstance(shown, Refusal) else Image.fromarray(shown.pixels)


def _deep(data: bytes, image: Image.Image) -> NDArray[Any]:
    """All 16 bits of each channel, height x width x channels. Pillow has them for grey alone, and the high byte else.

    Grey with alpha has the layout of 8-bit RGBA, and is read as that. For colour, the bytes are read a second time by
    the rule for the other byte order, which finds the low ones.
    """
    kind = data[25]  # IHDR's colour type: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA
    if kind == 4:
        header = bytearray(data[:33])
        header[24:26] = bytes((8, 6))
        header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
        halves = _pixels(bytes(header) + data[33:]).astype(np.uint16)
        return np.asarray(halves[..., 0::2] << 8 | halves[..., 1::2])
    if kind in (2, 6):
        high, low = np.asarray(image).astype(np.uint16), _pixels(data, low_bytes=True)
        return np.asarray(high << 8 | low)
    return np.asarray(image).astype(np.uint16)[..., None]


def _pixels(data: bytes, *, low_bytes: bool = False) -> NDArray[Any]:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if low_bytes:
            image.tile = [tile._replace(args=str(tile.args).replace("16B", "16L")) for tile in image.tile]
        return np.asarray(image)
