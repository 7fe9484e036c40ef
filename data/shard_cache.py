"""A folder of finished shards, so that work that was cut off goes on behind them.

A shard's file is named for all that decides what is in it: the function and its arguments, the code of tenstep, and
every row, so that a folder may hold the shards of several calls, and rows that have changed are worked on again. It
takes its name when it is whole. Results hold texts: the folder is its owner's only, and nothing is read from one to
which others could have written. Remove it when the work is done.
"""

import hashlib
import json
import os
import pickle
import stat
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Self

from ..schemas import plugins
from ..schemas.errors import InputError
from .files import replacing_bytes


class ShardCache(NamedTuple):
    """The shards of one piece of work; small, so that workers can be given it."""

    folder: Path
    work: str
    key: Callable[[Any], str]

    @classmethod
    def open(cls, folder: Path, work: Callable[..., Any], key: Callable[[Any], str]) -> Self:
        """Open a folder.

        Args:
            folder: it is made; every worker must see it.
            work: a function at the top of a module, or a partial of one whose arguments are JSON, or say as text what
                they are.
            key: all of a row that decides its result; a function at the top of a module.

        Raises:
            InputError: others can read or write there; so do `get` and `put` where a worker sees it so.
        """
        folder = folder.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check(folder)
        whole = partial(work)  # one of a partial is of its function
        named = [whole.func.__module__, whole.func.__qualname__, whole.args, whole.keywords, code()]
        return cls(folder, json.dumps(named, sort_keys=True, default=str), key)

    def get(self, rows: Sequence[Any]) -> list[Any] | None:
        """What these rows came to; none if they are not done."""
        _check(self.folder)  # a worker on another machine may see another folder under this name
        try:
            found: list[Any] = pickle.loads(self._file(rows).read_bytes())  # noqa: S301 our own, see `open`
        except FileNotFoundError:
            return None
        return found

    def put(self, rows: Sequence[Any], results: list[Any]) -> None:
        """Keep what these rows came to."""
        with replacing_bytes(self._file(rows), private=True) as stream:
            stream.write(pickle.dumps(results, pickle.HIGHEST_PROTOCOL))

    def _file(self, rows: Sequence[Any]) -> Path:
        digest = hashlib.sha256(self.work.encode())
        for row in rows:
            text = self.key(row).encode("utf-8", "surrogatepass")
            digest.update(len(text).to_bytes(8, "big") + text)
        return self.folder / f"{digest.hexdigest()}.shard"


def _check(folder: Path) -> None:
    found = folder.stat()
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid():
        raise InputError("others can read or write here, and shards hold texts; name a folder of your own", file=folder)


@cache
def code() -> str:
    """A hash of tenstep's code, plugins too, so that what other code found is not taken for what this one would
    find."""
    root = Path(__file__).parents[1]
    rooms = ("schemas", "data", "validators", "curation")
    digest = hashlib.sha256(repr(plugins.installed()).encode())
    for file in sorted(path for room in rooms for path in (root / room).rglob("*") if path.is_file()):
        if file.suffix in (".py", ".tsv", ".json", ".yaml"):
            digest.update(file.read_bytes())
    return digest.hexdigest()
