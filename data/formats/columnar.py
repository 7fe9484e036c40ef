"""Parquet files and datasets that `datasets` saved to disk: ranges of rows. No column is decoded that is not wanted.

Nothing is loaded from the hub, and no code of a dataset is run. What a small file could unpack to is limited: a part
of one column that unpacks beyond measure is refused unread, repeated long texts are held once, and a row that is
longer than a line of JSON may be is a row with a problem.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ...schemas.errors import InputError, MissingExtraError
from .json_lines import LONGEST

_BATCH, _HEAVY = 256, 32  # rows that are held at once; with images
_UNPACKED, _RATIO = 2**28, 100  # bytes of a column's part; and how many times its size in the file
_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"

Fields = dict[str, Any]


def parquet_rows(path: Path) -> Iterator[Fields | str]:
    """The rows of a Parquet file without its columns of images or arrays; a text is what is wrong with a row.

    Raises:
        InputError: it is no Parquet file, or unpacks beyond measure.
    """
    names, count = shape(path, light=True)
    yield from rows(path, names, 0, count)


def saved_rows(path: Path) -> Iterator[tuple[str | None, Fields | str]]:
    """The rows of a saved dataset likewise, each with the name of its split, if it has splits.

    Raises:
        InputError: it cannot be read.
        MissingExtraError: `datasets` is absent.
    """
    for place, split in parts_of(path):
        names, count = shape(place, light=True)
        yield from ((split, row) for row in rows(place, names, 0, count))


def is_saved_dataset(path: Path) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote this folder."""
    return (path / _SPLITS).is_file() or ((path / _STATE).is_file() and (path / _INFO).is_file())


def parts_of(path: Path) -> list[tuple[Path, str | None]]:
    """The folders of a saved dataset that each hold one table, and the split each is."""
    if (path / _SPLITS).is_file():
        return [(part, part.name) for part in sorted(path.iterdir()) if (part / _STATE).is_file()]
    return [(path, None)]


def shape(place: Path, *, light: bool = False) -> tuple[list[str], int]:
    """The names of a table's columns and the number of its rows.

    Args:
        place: a Parquet file, or a folder of `parts_of`.
        light: without columns that hold bytes: images, sounds, tensors.

    Raises:
        InputError: it cannot be read.
        MissingExtraError: `datasets` is absent.
    """
    if place.is_dir():
        table = _dataset(place)
        schema, count = table.features.arrow_schema, int(table.num_rows)
    else:
        with _parquet(place) as file:
            schema, count = file.schema_arrow, int(file.metadata.num_rows)
    return [field.name for field in schema if not (light and _heavy(field.type))], count


def rows(place: Path, wanted: Collection[str], start: int, stop: int) -> Iterator[Fields | str]:
    """Rows `start` to `stop` of a table with these of its columns; a text is what is wrong with a row.

    Raises:
        InputError: as `shape`; or a column unpacks beyond measure.
    """
    import pyarrow as pa

    try:
        for batch in _saved(place, wanted, start, stop) if place.is_dir() else _stored(place, wanted, start, stop):
            yield from _plain(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"cannot be read ({str(error)[:200]}); write the table again", file=place) from None


def _saved(place: Path, wanted: Collection[str], start: int, stop: int) -> Iterator[Any]:
    table = _dataset(place)
    names = [name for name in table.column_names if name in wanted]
    chosen = table.select_columns(names).select(range(start, stop)).with_format("arrow")
    for some in chosen.iter(batch_size=_BATCH):
        yield from some.to_batches()


def _stored(place: Path, wanted: Collection[str], start: int, stop: int) -> Iterator[Any]:
    with _parquet(place, wanted) as file:
        names = [name for name in file.schema_arrow.names if name in wanted]
        first = 0
        for group in range(file.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            if first < stop and start < first + length:
                yield from _group(file, group, names, max(start - first, 0), min(stop - first, length))
            first += length


def _group(file: Any, group: int, names: list[str], low: int, high: int) -> Iterator[Any]:
    """Rows of one row group, of which no more is held than a batch."""
    first = 0
    size = _HEAVY if any(_heavy(file.schema_arrow.field(name).type) for name in names) else _BATCH
    for batch in file.iter_batches(batch_size=size, row_groups=[group], columns=names):
        if first >= high:
            return
        if first + batch.num_rows > low:
            yield batch.slice(max(low - first, 0), high - max(first, low))
        first += batch.num_rows


def _plain(batch: Any) -> Iterator[Fields | str]:
    """Rows as Python has them: all at once where they are small, else one by one."""
    import pyarrow.compute as pc

    lengths = [found for column in batch.columns if (found := _lengths(column)) is not None]
    if sum(pc.max(found).as_py() or 0 for found in lengths) * batch.num_rows <= LONGEST:
        yield from batch.to_pylist()
        return
    for at in range(batch.num_rows):
        if sum(found[at].as_py() or 0 for found in lengths) > LONGEST:
            yield f"the row is longer than {LONGEST:,} bytes"
        else:
            yield from batch.slice(at, 1).to_pylist()


def _lengths(column: Any) -> Any:
    """Bytes of each text of a column, none for a column of others; a text that is repeated is measured once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        return pc.binary_length(column) if is_text else None
    return pc.take(pc.binary_length(column.dictionary), column.indices)


def _parquet(place: Path, wanted: Collection[str] = ()) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(place)
        texts = [field.name for field in file.schema_arrow if field.name in wanted and str(field.type) == "string"]
        _refuse_bombs(file, place, wanted)
        return pq.ParquetFile(place, read_dictionary=texts) if texts else file
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not a parquet file, or damaged ({str(error)[:120]}); write it again", file=place) from None


def _refuse_bombs(file: Any, place: Path, wanted: Collection[str]) -> None:
    for group in range(file.num_row_groups):
        described = file.metadata.row_group(group)
        for at in range(described.num_columns):
            column = described.column(at)
            if column.path_in_schema.partition(".")[0] not in wanted:
                continue
            unpacked, packed = column.total_uncompressed_size, column.total_compressed_size
            if unpacked > _UNPACKED and unpacked > _RATIO * packed:
                raise InputError(
                    f"{packed:,} bytes of it unpack to {unpacked:,}, which is refused; split the table",
                    file=place,
                    field=column.path_in_schema,
                )


def _dataset(place: Path) -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise MissingExtraError("hf", "the datasets package, which reads what save_to_disk wrote,") from None
    try:
        return datasets.load_from_disk(str(place))
    except Exception as error:  # noqa: BLE001  whatever a damaged folder makes it trip over
        raise InputError(
            f"cannot be read as a dataset ({str(error)[:120]}); save it again with save_to_disk", file=place
        ) from None


def _heavy(kind: Any) -> bool:
    """Whether values of an Arrow type hold bytes."""
    children = [kind.field(at).type for at in range(kind.num_fields)] if kind.num_fields else []
    return "binary" in str(kind) or any(map(_heavy, children))
