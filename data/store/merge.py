"""Merging a store's small files: parts with images are small, so that a kill costs little; files should not be."""

from collections.abc import Iterator
from pathlib import Path

from . import parquet
from .index import File, Index

_SMALL, _MERGED = 500, 4096  # files of fewer rows are merged, up to so many


def merge_small(root: Path, index: Index) -> None:
    """Merge neighbouring files of few studies: parts with images are small, so that a kill costs little."""
    for group in _groups(index.files()):
        import pyarrow as pa

        table = pa.concat_tables([parquet.read(root / file.name) for file in group])
        # a name that no part has: whoever is killed here finds either the old files in the index, or the new one
        name = f"studies-{group[0].first:010}.parquet"
        parquet.write(table, root / f"{name}.partial")
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
