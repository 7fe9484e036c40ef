"""Text files that appear under their name only when they are whole, and who may read them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A file that appears under its name only when it is whole and on disk; what bore the name stays until then."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def replace_text(path: Path, text: str) -> None:
    """Write a whole text."""
    with replacing(path) as stream:
        stream.write(text)


@contextlib.contextmanager
def readable_by(*, owner_only: bool) -> Iterator[None]:
    """Files and folders made meanwhile by this process are its owner's only, or have their usual permissions."""
    if not owner_only:
        yield
        return
    old = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(old)
