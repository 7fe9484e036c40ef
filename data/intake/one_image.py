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
from ...schemas.views import best_frontal, is_frontal, is_lateral, view_kinds
from .images import keep, png_of
from .reports import describe_views

_TWO = re.compile(r"\b(?:two|2)[- ]?views?\b", re.I)


class OneImage(NamedTuple):
    """The image, how it came about, and warnings about it."""

    ref: ImageRef
    mark: str  # image=frontal-first, image=canvas
    warnings: tuple[tuple[str, str], ...]


def fewer(named: Sequence[str], text: str, shown: Sequence[str]) -> str | None:
    """What a report is about and its images do not show, in words; none if nothing is missing.

    Args:
        named: the views that the report or its source names.
        text: the words that name them, which may only give their number.
        shown: the view of each image.
    """
    number = max(len({view_kinds(view) or view for view in named}), 2 if _TWO.search(text) else 1)
    kinds = [view_kinds(view) for view in shown]
    unknown = sum(not one for one in kinds)
    lacking = [
        is_kind for is_kind in (is_frontal, is_lateral) if any(map(is_kind, named)) and not any(map(is_kind, shown))
    ]
    if len(shown) >= number and len(lacking) <= unknown:
        return None
    about = describe_views(named) if named else f"{number} views"
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
        how: the best frontal view (schemas/views.py); or all of them side by side, as high as the lowest.
        path_of: finds an image's file.
        folder: where a canvas is written.
    """
    if len(refs) < 2 or (how == "canvas" and folder is None):
        return None
    if how == "frontal-first":
        views = [ref.view for ref in refs]
        ref = refs[best_frontal(views)]
        all_views = ", ".join(views)
        detail = f"of {len(refs)} images ({all_views}) the study keeps one ({ref.view}), and its report is about all"
        return OneImage(ref, "image=frontal-first", (("one_of_several_views", detail),))
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
    digest, name = keep(png_of(canvas), folder, origin)
    view = "+".join(ref.view for ref in refs)
    return ImageRef(path=name, view=view, sha256=digest, width=canvas.width, height=canvas.height)
