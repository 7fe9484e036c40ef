"""Writes demo studies to disk as the `folders` source reads them: `<id>/image.png` and `<id>/report.txt`.

Two of them cannot become studies and show what a rejection looks like: one image is cut off in the middle, one
report is empty.
"""

import io
from pathlib import Path

from .phantom import SIZE, phantom
from .words import report

BROKEN_IMAGE = "demo-broken-image"
EMPTY_REPORT = "demo-empty-report"


def write_folders(out: Path, count: int, *, first_seed: int = 0, size: int = SIZE, defects: bool = True) -> Path:
    """Write `count` good studies, named `demo-<seed>`, and the two defective ones.

    Args:
        out: the folder; made if absent. An earlier call's files with the same seeds are written anew, unchanged.
        count: studies that can be read.
        first_seed: seeds run from here, so that training and unseen studies do not overlap.
        size: pixels along an edge.
        defects: whether to add the two that will be rejected.

    Returns:
        `out`.
    """
    for seed in range(first_seed, first_seed + count):
        _write(out / f"demo-{seed:05d}", *_study(seed, size))
    if defects:
        image, text = _study(first_seed + count, size)
        _write(out / BROKEN_IMAGE, image[: len(image) // 2], text)
        _write(out / EMPTY_REPORT, image, "\n")
    return out


def _study(seed: int, size: int) -> tuple[bytes, str]:
    image, truth = phantom(seed, size)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue(), report(truth) + "\n"


def _write(folder: Path, image: bytes, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.png").write_bytes(image)
    (folder / "report.txt").write_text(text, encoding="utf-8", newline="\n")
