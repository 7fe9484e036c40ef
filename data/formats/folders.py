"""Folders of studies: `<id>/report.txt`, gzipped or not; the line end that closes the file is no part of the report."""

from pathlib import Path

from ...schemas.errors import InputError
from ..intake.images import locate
from ..intake.reports import MAX_REPORT, Refusal, decode
from .packed import open_file

REPORT = "report.txt"
_MAX_BYTES = 4 * 10 * MAX_REPORT  # steps may stand before the report; a character has at most four bytes in UTF-8


def report_of(folder: Path, root: Path) -> str | Refusal:
    """The text of a study's folder, or why there is none.

    Args:
        folder: the study's.
        root: the folder that it must lie in, also after links are followed.
    """
    if not folder.is_dir():
        return Refusal("not_a_folder", f"a study is a folder with image.* and {REPORT}")
    packed = folder / f"{REPORT}.gz"
    place = locate(packed if packed.is_file() and not (folder / REPORT).exists() else folder / REPORT, root)
    if isinstance(place, Refusal):
        return Refusal("no_report", place.detail) if place.reason == "missing_file" else place
    try:
        with open_file(place) as file:
            data = file.read(_MAX_BYTES + 1)
    except InputError as error:
        return Refusal("no_report", error.message)
    except OSError as error:
        return Refusal("no_report", f"'{place.name}' cannot be read ({error.strerror})")
    if len(data) > _MAX_BYTES:
        return Refusal("long_report", f"'{place.name}' has more than {_MAX_BYTES:,} bytes")
    text = decode(data)
    return text if isinstance(text, Refusal) else text.removesuffix("\n").removesuffix("\r")
