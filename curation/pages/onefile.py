"""Pages that are one file: their parts are read from pages/, hashed for the content security policy, written whole.

The policy lets the browser apply and run the parts it names by hash, and nothing else. A page of restricted data can be
read by its owner only. It knows files and bytes, and nothing of what a page shows.
"""

import base64
import hashlib
import html
import os
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from string import Template

from .marked import shown

_PACKAGE = __package__ or ""


def part(*names: str) -> str:
    """Files of pages/, one after the other."""
    folder = resources.files(_PACKAGE)
    return "".join(folder.joinpath(name).read_text("utf-8") for name in names)


def _source_hash(text: str) -> str:
    """For a content security policy: the browser runs or applies this text and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def opening(body: str, *, title: str, style: str, script: str, **parts: str) -> str:
    """A page up to its cards: the head and the file `body`, filled; the browser takes this style and script alone.

    Args:
        parts: HTML for the other places of `body`.
    """
    return Template(part("head.html", body)).substitute(
        parts,
        title=shown(title, 200),
        plain_title=html.escape(title[:200]),
        style=style,
        style_hash=_source_hash(style),
        script_hash=_source_hash(script),
    )


def options(counts: Counter[str]) -> str:
    """Choices for a filter, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return "".join(f'<option value="{html.escape(name)}">{shown(name, 80)} ({n:,})</option>' for name, n in ranked)


def write_whole(path: Path, pieces: Iterable[str], *, private: bool) -> None:
    """Write a file that appears under its name only when it is whole.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)  # an old one could be open to others
    with open(
        unfinished,
        "w",
        encoding="utf-8",
        newline="\n",
        opener=lambda name, flags: os.open(name, flags, 0o600 if private else 0o666),
    ) as stream:
        stream.writelines(pieces)
    unfinished.replace(path)
