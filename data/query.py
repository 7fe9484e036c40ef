"""Rows of a database, for generators that pass them on."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any


def rows_of(database: sqlite3.Connection, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, as they are read.

    `yield from` a cursor closes it with the generator, which may be after its database was; what this returns has
    nothing to close.
    """
    return map(tuple, database.execute(sql, values))
