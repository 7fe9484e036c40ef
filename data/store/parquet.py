"""Studies as parquet: one row a study, one column a field, so that any other tool can read a store's files.

`sections` is a struct, `images` and `views` are lists, `labels` is a map. `derived` says what of the study is not the
source's own (Marks in source.py). Row groups are small: one study is read without its neighbours' megabytes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...schemas.base import SCHEMA_VERSION
from ...schemas.errors import InputError
from ...schemas.study import ImageRef, Sections, Study
from .index import File, Index

if TYPE_CHECKING:
    import pyarrow as pa

GROUP = 256  # rows of a row group
_FEW = ["source", "data_class", "report_form", "split"]  # columns of a few values: worth a dictionary
_SMALL, _MERGED = 500, 4096  # files of fewer rows are merged, up to so many
_FOUND = ["id", "patient_id", *_FEW]  # columns that are searched: worth statistics


def schema() -> "pa.Schema":
    """The columns."""
    import pyarrow as pa

    text = pa.string()
    size = pa.int32()
    image = pa.struct(
        [("path", text), ("view", text), ("sha256", text), ("width", size), ("height", size), ("original", text)]
    )
    return pa.schema(
        [
            pa.field("id", text, nullable=False),
            pa.field("patient_id", text, nullable=False),
            pa.field("source", text, nullable=False),
            pa.field("data_class", text, nullable=False),
            pa.field("images", pa.list_(image), nullable=False),
            pa.field("views", pa.list_(text), nullable=False),
            pa.field("report", text, nullable=False),
            pa.field("report_form", text, nullable=False),
            pa.field("sections", pa.struct([(name, text) for name in Sections.model_fields]), nullable=False),
            pa.field("split", text),
            pa.field("labels", pa.map_(text, text), nullable=False),
            pa.field("has_prior", pa.bool_(), nullable=False),
            pa.field("derived", pa.list_(text), nullable=False),
        ],
        metadata={"tenstep": f"study/{SCHEMA_VERSION}"},
    )


def encode(studies: Sequence[Study], derived: Sequence[Sequence[str]]) -> "pa.Table":
    """Studies, and what of each was derived, as a table."""
    import pyarrow as pa

    columns = schema()
    refs = [ref for study in studies for ref in study.images]
    image = columns.field("images").type.value_type
    arrays = {
        "images": _lists(
            columns.field("images").type,
            [len(study.images) for study in studies],
            pa.StructArray.from_arrays(
                [_text([getattr(ref, name) for ref in refs]) for name in ("path", "view", "sha256")]
                + [_numbers([getattr(ref, name) for ref in refs]) for name in ("width", "height")]
                + [_text([ref.original for ref in refs])],
                fields=list(image),
            ),
        ),
        "views": _texts([study.views for study in studies]),
        "sections": pa.StructArray.from_arrays(
            [_text([getattr(study.sections, name) for study in studies]) for name in Sections.model_fields],
            fields=list(columns.field("sections").type),
        ),
        "labels": pa.MapArray.from_arrays(
            _offsets([len(study.labels) for study in studies]),
            _text([name for study in studies for name in study.labels]),
            _text([status for study in studies for status in study.labels.values()]),
        ),
        "has_prior": _flags([study.has_prior for study in studies]),
        "derived": _texts(derived),
    }
    for name in columns.names:
        if name not in arrays:
            arrays[name] = _text([getattr(study, name) for study in studies])
    return pa.Table.from_arrays([arrays[name].cast(columns.field(name).type) for name in columns.names], schema=columns)


# Arrays are made from buffers: `pa.array` of a list imports pandas, which takes half a second and 50 MB.


def _text(values: Sequence[str | None]) -> "pa.Array":
    import pyarrow as pa

    encoded = [b"" if value is None else value.encode() for value in values]
    known = None if None not in values else _bits([value is not None for value in values])
    buffers = [known, _offsets([len(value) for value in encoded]).buffers()[1], pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _texts(values: Sequence[Sequence[str]]) -> "pa.Array":
    import pyarrow as pa

    return _lists(pa.list_(pa.string()), [len(one) for one in values], _text([text for one in values for text in one]))


def _lists(kind: "pa.DataType", lengths: Sequence[int], values: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    return pa.ListArray.from_arrays(_offsets(lengths), values).cast(kind)


def _numbers(values: Sequence[int]) -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(np.array(values, np.int32))])


def _offsets(lengths: Sequence[int]) -> "pa.Array":
    return _numbers([0, *accumulate(lengths)])


def _flags(values: Sequence[bool]) -> "pa.Array":
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def _bits(values: Sequence[bool]) -> "pa.Buffer":
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.array(values, bool), bitorder="little"))


def decode(table: "pa.Table | pa.RecordBatch") -> Iterator[Study]:
    """The studies of a table, checked."""
    cells = {name: table.column(name).to_pylist() for name in table.schema.names if name != "derived"}
    for row in zip(*cells.values(), strict=True):
        fields = dict(zip(cells, row, strict=True))
        fields["labels"] = dict(fields["labels"])
        fields["sections"] = Sections.model_construct(**fields["sections"])
        fields["images"] = tuple(ImageRef.model_validate(ref) for ref in fields["images"])
        yield Study.model_validate(fields)


def write(table: "pa.Table", path: Path) -> None:
    """Write a table to a file that only its owner can read."""
    import pyarrow.parquet as pq

    with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        pq.write_table(
            table,
            file,
            row_group_size=GROUP,
            compression="zstd",
            use_dictionary=_FEW,
            write_statistics=_FOUND,
        )


def read(path: Path) -> "pa.Table":
    """A whole file."""
    with _opened(path) as file:
        return file.read(use_threads=False)


def read_group(path: Path, group: int) -> "pa.Table":
    """One row group."""
    with _opened(path) as file:
        return file.read_row_group(group, use_threads=False)  # a few hundred rows: threads cost more than they do


def batches(path: Path, groups: Sequence[int]) -> "Iterator[pa.RecordBatch]":
    """Some row groups of a file, a batch each."""
    if groups:
        with _opened(path) as file:
            yield from file.iter_batches(batch_size=GROUP, row_groups=list(groups), use_threads=False)


def pick(batch: "pa.RecordBatch", rows: Sequence[int]) -> "pa.RecordBatch":
    """Some rows of a batch."""
    return batch if len(rows) == batch.num_rows else batch.take(_numbers(rows))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A parquet file; whatever is wrong with it is one clear error."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except PermissionError:
        raise InputError("cannot be read; see that you may read the store", file=path) from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"damaged: {' '.join(str(error).split())[:160]}; ingest again", file=path) from None


def merge_small(root: Path, index: Index) -> None:
    """Merge neighbouring files of few studies: parts with images are small, so that a kill costs little."""
    for group in _groups(index.files()):
        import pyarrow as pa

        table = pa.concat_tables([read(root / file.name) for file in group], promote_options="permissive")
        # a name that no part has: whoever is killed here finds either the old files in the index, or the new one
        name = f"studies-{group[0].first:010}.parquet"
        write(table, root / f"{name}.partial")
        (root / f"{name}.partial").rename(root / name)
        with index:
            index.drop_files(group)
            index.add_file(File(group[0].first, table.num_rows, name))


def _groups(files: list[File]) -> Iterator[list[File]]:
    group: list[File] = []
    for file in [*files, File(0, _MERGED, "")]:
        if file.rows >= _SMALL or sum(f.rows for f in group) + file.rows > _MERGED:
            if len(group) > 1:
                yield group
            group = []
        if file.rows < _SMALL:
            group.append(file)
