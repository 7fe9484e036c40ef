"""A study's image as the student sees it: checked against its hash, decoded to RGB, without a fallback.

Ingest has converted whatever is not an 8-bit PNG or JPEG, so nothing else is opened here.
"""

import hashlib
import io
from pathlib import Path

from PIL import Image

from ..data.store.studies import StudyStore
from ..schemas.errors import ImageError
from ..schemas.study import ImageRef, Study
from ..schemas.views import best_frontal


def choose(study: Study) -> ImageRef | None:
    """The one image that the student is shown: the frontal one (schemas/views.py); none without images."""
    if not study.images:
        return None
    return study.images[best_frontal([image.view for image in study.images])]


def open_image(path: str | Path) -> Image.Image:
    """Decode an image file, shape (height, width, 3).

    Raises:
        ImageError: it is missing or cannot be decoded.
    """
    try:
        return _decode(Path(path).read_bytes())
    except OSError as error:
        raise ImageError(f"the image cannot be opened ({error.strerror or error})", file=path) from None


def check(store: StudyStore, study: Study, image: ImageRef) -> Path:
    """The image's path, once it has been seen to be the very file that was ingested, and to decode.

    Raises:
        ImageError: it is missing, changed since ingest, or damaged; names the study.
    """
    path = store.path_of(image)
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageError(f"study '{study.id}': the image changed since it was ingested; ingest again", file=path)
        _decode(data)
    except OSError as error:
        raise ImageError(
            f"study '{study.id}': the image cannot be opened ({error.strerror or error}); ingest again", file=path
        ) from None
    return path


def _decode(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        return image.convert("RGB")
