"""An image of a study as a small data URI for a page. Images were decoded once at ingest; here they may have gone."""

import base64
import io
from pathlib import Path

from PIL import Image

from ...data.intake.decoder import DecodeError, decoder
from ...schemas.errors import ImageError

EDGE = 448  # pixels; enough to see what a report speaks of, small enough for a thousand films in one file
_PIXELS = 100_000_000


def data_uri(path: Path, edge: int = EDGE) -> str:
    """Read, downscale to `edge` pixels at the longer side (never up), and encode as JPEG.

    Raises:
        ImageError: the file is missing, is not a whole image, or is too large.
    """
    try:
        jpeg = decoder().run(_small, path.read_bytes(), edge)
    except (OSError, DecodeError) as error:
        raise ImageError(f"the image cannot be shown ({error}); restore it from its source", file=path) from None
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _small(data: bytes, edge: int) -> bytes:
    """Called in the decoder's process."""
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > _PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels are too many to show")
        image.draft("L", (edge, edge))  # lets JPEG decode at a fraction; does nothing for others
        image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        small = image.convert("L" if image.mode in ("1", "L", "LA", "I", "I;16", "F") else "RGB")
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=88, optimize=True)
    return stream.getvalue()
