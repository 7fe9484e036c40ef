"""Files under the names that tables give them: accents composed or not, backslashes, `.jpg` for `.jpeg`."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

_ALIKE = {".jpg": ".jpeg", ".jpeg": ".jpg"}


def find_file(root: Path, name: str) -> Path:
    """The file that a name means: as it is written, or as other systems write it; as it is written if none is there.

    A Mac's file system writes accents as marks of their own, spreadsheets within the letter; Windows writes `\\` for
    `/`, and suffixes in capitals. Nothing outside `root` is looked for that the name itself does not lead to.
    """
    for variant in _variants(name):
        place = root / variant
        try:
            if place.exists():
                return place
        except (OSError, ValueError):  # a name that no file can have
            break
    return root / name


def _variants(name: str) -> Iterator[str]:
    yield name
    for form in ("NFC", "NFD"):
        plain = unicodedata.normalize(form, name.replace("\\", "/"))
        stem, dot, suffix = plain.rpartition(".")
        yield plain
        if dot:
            alike = _ALIKE.get(f".{suffix.lower()}", f".{suffix}")
            yield from (stem + other for other in (f".{suffix.lower()}", f".{suffix.upper()}", alike, alike.upper()))
