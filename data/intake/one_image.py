"""Views: which a report is about, which its images show, and one image for students that take one.

A report about two views must not be paired with one of them silently: `fewer` names the difference, and whoever asks
for one image gets a warning with it (frontal-first), or all views on one canvas.
"""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ...schemas.study import ImageRef
from .images import keep
from .reports import UNKNOWN_VIEW, describe_views

FRONTAL = frozenset({"PA", "AP", "frontal"})
LATERAL = frozenset({"lateral", "LL", "RL", "LATERAL"})
_TWO = re.compile(r"\b(?:two|2)[- ]?views?\b", re.I)


class OneImage(NamedTuple):
    """The image, how it came about, and what a reader must be told."""

    ref: ImageRef
    mark: str  # image=frontal-first, image=canvas
    warnings: tuple[tuple[str, str], ...]


def fewer(told: Sequence[str], text: str, shown: Sequence[str]) -> str | None:
    """What a report is about and its images do not show, in words; none if nothing is missing.

    Args:
        told: the views that the report or its source names.
        text: the words that name them, which may only give their number.
        shown: the view of each image.
    """
    number = max(len(told), 2 if _TWO.search(text) else 1)
    unknown = sum(view == UNKNOWN_VIEW for view in shown)
    lacking = [
        name
        for name, kind in (("frontal", FRONTAL), ("lateral", LATERAL))
        if kind & set(told) and not kind & set(shown)
    ]
    if len(shown) >= number and len(lacking) <= unknown:
        return None
    about = describe_views(told) if told else f"{number} views"
    return f"the report is about {about}; its images: {len(shown)} ({', '.join(shown)})"


def one_image(
    refs: Sequence[ImageRef],
    how: Literal["frontal-first", "canvas"],
    path_of: Callable[[ImageRef], Path],
    folder: Path | None,
) -> OneImage | None:
    """One image of a study's; none if it has one already.

    Args:
        refs: all its images, decoded once.
        how: the first frontal view, else the first of all; or all of them side by side, as high as the lowest.
        path_of: finds an image's file.
        folder: where a canvas is written.
    """
    if len(refs) < 2 or (how == "canvas" and folder is None):
        return None
    if how == "frontal-first":
        ref = next((ref for ref in refs if ref.view in FRONTAL), refs[0])
        views = ", ".join(other.view for other in refs)
        told = f"of {len(refs)} images ({views}) the study keeps one ({ref.view}), and its report is about all"
        return OneImage(ref, "image=frontal-first", (("one_of_several_views", told),))
    assert folder is not None  # returned above
    return OneImage(_canvas(refs, path_of, folder), "image=canvas", ())


def _canvas(refs: Sequence[ImageRef], path_of: Callable[[ImageRef], Path], folder: Path) -> ImageRef:
    from PIL import Image

    height = min(ref.height for ref in refs)
    widths = [max(1, round(ref.width * height / ref.height)) for ref in refs]
    canvas = Image.new("L", (sum(widths), height))
    left = 0
    for ref, width in zip(refs, widths, strict=True):
        with Image.open(io.BytesIO(path_of(ref).read_bytes()), formats=("PNG", "JPEG")) as image:
            canvas.paste(image.convert("L").resize((width, height), Image.Resampling.LANCZOS), (left, 0))
        left += width
    origin = hashlib.sha256(b"canvas" + "".join(ref.sha256 for ref in refs).encode()).hexdigest()
    digest, name = keep(canvas, folder, origin)
    view = "+".join(ref.view for ref in refs)
    return ImageRef(path=name, view=view, sha256=digest, width=canvas.width, height=canvas.height)
