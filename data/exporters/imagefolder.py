"""imagefolder: `load_dataset("imagefolder", data_dir=...)`: images next to a metadata.jsonl, one folder a split.

A row with one image says `file_name`, rows with several say `images_file_names`, which loads as a list of images; all
rows of a dataset say the same. Form: datasets 5.2.
"""

from collections.abc import Iterable
from typing import Any

from ..exporter import Folder, Row, by_split

PAIRS = "none"


def check(row: Row) -> str | None:
    """Without an image there is no row."""
    return None if row.films else "it has no image"


def write(rows: Iterable[Row], folder: Folder) -> None:
    """SPLIT/metadata.jsonl and SPLIT/*.png."""
    splits = list(by_split(rows))
    several = any(len(row.films) != 1 for _, some in splits for row in some)
    for split, some in splits:
        folder.lines(f"{split}/metadata.jsonl", (_line(row, folder, several=several) for row in some))


def _line(row: Row, folder: Folder, *, several: bool) -> dict[str, Any]:
    names = [path.rpartition("/")[2] for path in folder.images(row, under=row.split)]
    films: dict[str, Any] = {"images_file_names": names} if several else {"file_name": names[0]}
    return films | {"id": row.id, "prompt": row.prompt, "text": row.target, "report": row.report}
