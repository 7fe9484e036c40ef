"""Rows of one study put together, wherever in a source they stand; for sources with a row for each image.

The source is read twice, the first time for its studies alone. Rows that stand together stay where they are; those of a
study whose rows are scattered wait in a temporary database until the last of them has come. So memory holds a
hash for each study (64 bytes) and the ids of scattered ones, whatever the source's size.
"""

import pickle
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def together(
    names: Callable[[], Iterable[str]],
    rows: Iterable[T],
    name_of: Callable[[T], str],
    mentions: Callable[[], Iterable[str]] | None = None,
) -> Iterator[list[T]]:
    """Rows by study, each study at the place of its last row if its rows are scattered.

    Args:
        names: the study of every row, in the order of `rows`; empty for a row that names none. Called up to twice.
        rows: the rows.
        name_of: the study of a row.
        mentions: a quicker way to see whether any study may be scattered: all that `names` gives, in its order, perhaps
            with more between.
    """
    scattered = _scattered(names, mentions or names)
    held: list[T] = []
    last = ""
    with tempfile.TemporaryDirectory(prefix="tenstep-") as folder:
        waiting = _Waiting(Path(folder) / "rows.db") if scattered else None
        for row in rows:
            name = name_of(row)
            if waiting is not None and name in scattered:
                waiting.put(name, row)
                scattered[name] -= 1
                if not scattered[name]:
                    yield waiting.take(name)
                continue
            if held and (not name or name != last):
                yield held
                held = []
            held.append(row)
            last = name
        if held:
            yield held
        if waiting is not None:
            waiting.close()


def _scattered(names: Callable[[], Iterable[str]], mentions: Callable[[], Iterable[str]]) -> Counter[str]:
    """The studies whose rows do not all stand together, with the number of their rows."""
    seen: set[int] = set()
    again: set[str] = set()
    last = ""
    for name in mentions():
        if name and name != last:
            if hash(name) in seen:
                again.add(name)
            seen.add(hash(name))
        last = name
    return Counter(name for name in names() if name in again) if again else Counter()


class _Waiting:
    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE rows (study TEXT, row BLOB);"
            "CREATE INDEX by_study ON rows (study); BEGIN;"
        )

    def put(self, name: str, row: object) -> None:
        self._database.execute("INSERT INTO rows VALUES (?, ?)", (name, pickle.dumps(row)))

    def take(self, name: str) -> list[Any]:
        rows = self._database.execute("SELECT row FROM rows WHERE study = ? ORDER BY rowid", (name,))
        return [pickle.loads(row) for (row,) in rows]  # noqa: S301  this process wrote them a moment ago

    def close(self) -> None:
        self._database.close()
