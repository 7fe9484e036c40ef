"""Which checkpoint to go on from after a kill: the last one that was written whole.

The trainer writes a checkpoint's files one after another under its final name, so a folder may be half a
checkpoint. A mark with the size of every file is written last; a folder without it, or whose files differ from it,
is removed.
"""

import json
import os
import shutil
from pathlib import Path

from ...data.files import replace_text

PREFIX = "checkpoint-"
_MARK = "complete.json"


def mark(checkpoint: Path) -> None:
    """Say that a checkpoint is whole; it is on disk before this returns."""
    sizes = {}
    for file in _files(checkpoint):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
        sizes[str(file.relative_to(checkpoint))] = file.stat().st_size
    replace_text(checkpoint / _MARK, json.dumps(sizes))


def last(folder: Path) -> Path | None:
    """The newest whole checkpoint, if there is one; broken ones are removed."""
    numbered = (path for path in folder.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdigit())
    found = sorted(numbered, key=step_of, reverse=True)
    whole = [checkpoint for checkpoint in found if _is_whole(checkpoint)]
    for checkpoint in set(found) - set(whole):
        shutil.rmtree(checkpoint)
    return next(iter(whole), None)


def step_of(checkpoint: Path) -> int:
    """The optimizer steps behind a checkpoint."""
    return int(checkpoint.name.removeprefix(PREFIX))


def _is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / _MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    found = {str(file.relative_to(checkpoint)): file.stat().st_size for file in _files(checkpoint)}
    return bool(sizes == found)


def _files(checkpoint: Path) -> list[Path]:
    return sorted(file for file in checkpoint.rglob("*") if file.is_file() and not file.name.startswith(_MARK))
