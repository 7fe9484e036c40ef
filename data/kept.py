"""Finished shards kept in a folder, so that work that was cut off goes on behind them.

A shard's file is named for all that decides what is in it: the verb and its options, the code of tenstep, and every
row, so that a folder may hold the shards of several calls, and rows that have changed are worked on again. It takes its
name when it is whole. Results hold texts: the folder is its owner's only, and nothing is read from one to which others
could have written. Remove it when the work is done.
"""

import hashlib
import json
import os
import pickle
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..schemas.errors import InputError
from .files import replacing_bytes


class Kept(NamedTuple):
    """The shards of one pass of a call; small, so that workers can be given it."""

    folder: Path
    call: str
    key: Callable[[Any], str]  # all of a row that decides its result; a function at the top of a module

    def get(self, rows: Sequence[Any]) -> list[Any] | None:
        """What these rows came to; none if they are not done."""
        try:
            found: list[Any] = pickle.loads(self._file(rows).read_bytes())  # noqa: S301 our own, see `keep`
        except FileNotFoundError:
            return None
        return found

    def put(self, rows: Sequence[Any], results: list[Any]) -> None:
        """Keep what these rows came to."""
        with replacing_bytes(self._file(rows), private=True) as stream:
            stream.write(pickle.dumps(results, pickle.HIGHEST_PROTOCOL))

    def _file(self, rows: Sequence[Any]) -> Path:
        digest = hashlib.sha256(self.call.encode())
        for row in rows:
            text = self.key(row).encode("utf-8", "surrogatepass")
            digest.update(len(text).to_bytes(8, "big") + text)
        return self.folder / f"{digest.hexdigest()}.shard"


def keep(folder: Path | None, verb: str, options: Mapping[str, Any], key: Callable[[Any], str]) -> Kept | None:
    """Open a folder for finished shards; none if none is given.

    Args:
        folder: it is made; every worker must see it.
        verb: what is done to the rows.
        options: whatever else decides the results, as JSON or text.
        key: see Kept.

    Raises:
        InputError: others can read or write there.
    """
    if folder is None:
        return None
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid():
        raise InputError("others can read or write here, and shards hold texts; name a folder of your own", file=folder)
    call = json.dumps([verb, _code(), options], sort_keys=True, default=str)
    return Kept(folder, call, key)


@cache
def _code() -> str:
    """A hash of the code, so that what an earlier state of it found is not taken for what this one would find."""
    root = Path(__file__).parents[1]
    rooms = ("schemas", "data", "validators", "curation")
    digest = hashlib.sha256()
    for file in sorted(path for room in rooms for path in (root / room).rglob("*") if path.is_file()):
        if file.suffix in (".py", ".tsv", ".json", ".yaml"):
            digest.update(file.read_bytes())
    return digest.hexdigest()
