"""jsonl: one object a line for any script, with the joined text, its parts, and image paths relative to the folder."""

from collections.abc import Iterable
from typing import Any

from ..exporter import Folder, Row, by_split

PAIRS = "none"


def write(rows: Iterable[Row], folder: Folder) -> None:
    """train.jsonl, validation.jsonl, test.jsonl."""
    for split, some in by_split(rows):
        folder.lines(f"{split}.jsonl", (_line(row, folder) for row in some))


def _line(row: Row, folder: Folder) -> dict[str, Any]:
    return {
        "id": row.id,
        "images": folder.images(row),
        "views": [film.view for film in row.films],
        "prompt": row.prompt,
        "text": row.target,
        "steps": list(row.steps),
        "report": row.report,
        "teacher": row.teacher,
        "model": row.model,
    }
