"""Parquet files and datasets that `datasets` saved to disk, row by row. Columns of images or arrays are left on disk.

Reading Parquet takes pyarrow, a saved dataset takes `datasets`, which brings it: both come with tenstep[distill].
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...schemas.errors import InputError, MissingExtraError

_BATCH = 256  # rows that are held at once
_EXTRA = "distill"


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, in small batches.

    Raises:
        InputError: it is no Parquet file.
        MissingExtraError: pyarrow is absent.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingExtraError(_EXTRA, "pyarrow, which reads Parquet,") from None
    try:
        with ParquetFile(path) as file:
            names = [field.name for field in file.schema_arrow if not _heavy(field.type)]
            for batch in file.iter_batches(batch_size=_BATCH, columns=names):
                yield from batch.to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise InputError(f"cannot be read as Parquet ({str(error)[:200]})", file=path) from None


def is_saved_dataset(path: Path) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote this folder."""
    return (path / "dataset_dict.json").is_file() or (
        (path / "state.json").is_file() and (path / "dataset_info.json").is_file()
    )


def saved_rows(path: Path) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """The rows of a saved dataset, each with the name of its split, if it has splits.

    Raises:
        InputError: it cannot be read.
        MissingExtraError: `datasets` is absent.
    """
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        raise MissingExtraError(_EXTRA, "datasets, which reads what it saved,") from None
    try:
        found = load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot be read as a saved dataset ({str(error)[:200]})", file=path) from None
    parts = found.items() if isinstance(found, DatasetDict) else [(None, found)]
    for split, part in parts:
        schema = part.features.arrow_schema
        light = part.select_columns([field.name for field in schema if not _heavy(field.type)]).with_format("arrow")
        for batch in light.iter(batch_size=_BATCH):
            yield from ((str(split) if split else None, row) for row in batch.to_pylist())


def _heavy(kind: Any) -> bool:
    """Whether values of an Arrow type hold bytes: images, sounds, tensors."""
    children = [kind.field(at).type for at in range(kind.num_fields)] if kind.num_fields else []
    return "binary" in str(kind) or any(map(_heavy, children))
