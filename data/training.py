"""The training libraries' table, built here because `datasets` is imported in this room only."""

from collections.abc import Mapping, Sequence
from typing import Any


def training_table(rows: Sequence[Mapping[str, object]]) -> Any:
    """Rows of texts as a `datasets.Dataset`; a column may hold paths, which nothing here opens.

    Args:
        rows: at least one; all with the same keys.
    """
    from datasets import Dataset

    return Dataset.from_list([dict(row) for row in rows])
