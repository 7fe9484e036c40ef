"""A study's image as the student sees it: checked against its hash, decoded to RGB, without a fallback.

Ingest has converted whatever is not an 8-bit PNG or JPEG, so nothing else is opened here.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
        raise ImageError(
            f"the image cannot be opened ({error.strerror or error}); restore it from its source", file=path
        ) from None


def check(store: StudyStore, study: Study, image: ImageRef) -> Path:
    """The image's path, once it is known to be the very file that was ingested.

    A file with the size and the time of change that it had at ingest is not read again; others are hashed and decoded.

    Raises:
        ImageError: it is missing, changed since ingest, or damaged; names the study.
    """
    path = store.path_of(image)
    return path if store.is_unchanged(image) else _read(path, study.id, image.sha256)


def check_all(images: Iterable[tuple[StudyStore, Study, ImageRef]]) -> Iterator[Path | ImageError]:
    """As `check`, of many, in their order: those that must be read are read on all cores.

    Yields:
        the image's path, or what is wrong with it.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = []
        for store, study, image in images:
            path = store.path_of(image)
            known = store.is_unchanged(image)
            found.append(path if known else pool.submit(_outcome, partial(_read, path, study.id, image.sha256)))
        for one in found:
            yield one if isinstance(one, Path) else one.result()


def _outcome(read: Callable[[], Path]) -> Path | ImageError:
    try:
        return read()
    except ImageError as error:
        return error


def _read(path: Path, study_id: str, sha256: str) -> Path:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ImageError(f"study '{study_id}': the image changed since it was ingested; ingest again", file=path)
        _decode(data)
    except OSError as error:
        raise ImageError(
            f"study '{study_id}': the image cannot be opened ({error.strerror or error}); ingest again", file=path
        ) from None
    return path


def _decode(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        return image.convert("RGB")
