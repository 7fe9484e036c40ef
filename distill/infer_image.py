"""A file as the student sees it: PNG, JPEG or DICOM, decoded as at ingest, one RGB image, and what was odd about it."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..data.intake.images import admit
from ..data.intake.reports import Refusal
from ..schemas.errors import ImageError
from .pixels import open_image


class Film(NamedTuple):
    """An image, decoded."""

    image: Image.Image
    sha256: str  # of the file that was decoded, or of its conversion
    view: str
    width: int
    height: int
    warnings: tuple[str, ...]


def read(path: Path) -> Film:
    """Decode an image file.

    Raises:
        ImageError: it is missing, damaged, too large or no image.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        found = admit(path, path.parent, root)
        if isinstance(found, Refusal):
            raise ImageError(found.detail or found.reason, file=path)
        ref = found.ref
        place = Path(ref.path) if Path(ref.path).is_absolute() else Path(folder) / ref.path
        image = open_image(place)
    warnings = tuple(detail for _, detail in found.warnings)
    return Film(image, ref.sha256, ref.view, ref.width, ref.height, warnings)
