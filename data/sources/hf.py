"""A Hugging Face dataset on disk, or parquet: a mapping (`--columns map.yaml`) names the columns.

    PATH        a .parquet file, a folder of them, or what `save_to_disk` wrote (a Dataset or a DatasetDict)
    --columns   see data/columns.py; without it, columns of the mapping's own names are used
    --images    the folder that image paths are relative to; PATH's own if not given
    id          hf/<id>
    images      image features (bytes go into the store, paths are followed), lists of them, or paths as text
    split       the split column; else the DatasetDict's split, or the name of the parquet file before its first `-`

Parquet needs nothing more; what `save_to_disk` wrote needs the `datasets` package: pip install 'tenstep[hf]'. Nothing
is ever loaded from the hub, and no code of a dataset is run.
"""

from collections.abc import Iterator
from pathlib import Path

from ...schemas.errors import InputError
from ..formats.columnar import is_saved_dataset, parts_of, rows, shape
from ..intake.assemble import assemble, rejected
from ..intake.images import ImageFile
from ..intake.mapped import absent, draft_of, paths_in
from ..intake.names import find_file
from ..intake.reports import Refusal
from ..source import Row, Shard, SourceOptions

_NAME = "hf"
_ROWS, _FILMS = 1000, 100  # rows of a part, without and with images


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """Ranges of rows, of one file or split each.

    Raises:
        InputError: there is no dataset at `path`, or it lacks a column of the mapping.
        MissingExtraError: it needs the `datasets` package.
    """
    size = _ROWS if options.text_only else _FILMS
    for place, split in _places(path):
        header, count = shape(place)
        if (column := absent(options.columns, header)) is not None:
            found = ", ".join(name[:30] for name in header[:12])
            raise InputError(f"the column is missing; found: {found}; see --columns", file=place, field=column)
        root = options.images or (path if path.is_dir() else path.parent)
        for start in range(0, count, size):
            yield place, tuple(header), split, root, start, min(start + size, count)


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part."""
    place, header, split, root, start, stop = shard
    columns = options.columns
    for number, cells in enumerate(rows(place, columns.every(), start, stop), start + 1):
        where = f"{place.name} row {number}"
        if isinstance(cells, str):
            yield rejected(_NAME, where, Refusal("long_row", cells))
            continue
        images: list[ImageFile] = []
        refusal = None
        for column in columns.image_columns if not options.text_only else ():
            found = _images(cells.get(column), root)
            if isinstance(found, Refusal):
                refusal = found
            else:
                images += found
        texts = {name: _text(value) for name, value in cells.items() if name not in columns.image_columns}
        texts[columns.split] = texts.get(columns.split) or split
        draft = refusal or draft_of(_NAME, texts, images, where, root, options, header)
        if isinstance(draft, Refusal):
            yield rejected(_NAME, where, draft)
        else:
            yield from assemble(draft, options, options.form or "verbatim")


def _places(path: Path) -> list[tuple[Path, str | None]]:
    """Files or folders that each hold one table, and the split each is."""
    if path.is_file():
        return [(path, None)]
    if not path.is_dir():
        raise InputError("there is no such file or folder; check the name", file=path)
    if is_saved_dataset(path):
        return parts_of(path)
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise InputError(
            "the folder holds neither parquet files nor what save_to_disk writes; name one that does", file=path
        )
    return [(file, file.stem.partition("-")[0]) for file in files]


def _text(value: object) -> str | None:
    return None if value is None or isinstance(value, list | dict | bytes) else str(value)


def _images(value: object, root: Path) -> list[ImageFile] | Refusal:
    """Images of a cell: text, an image feature, or a list of either."""
    match value:
        case None:
            return []
        case str():
            return paths_in(value, root)
        case {"bytes": bytes() as data}:
            return [ImageFile(Path("table"), data=data)]
        case {"path": str() as name}:
            return [ImageFile(find_file(root, name))]
        case list():
            every = [_images(item, root) for item in value]
            if refusal := next((found for found in every if isinstance(found, Refusal)), None):
                return refusal
            return [image for found in every if not isinstance(found, Refusal) for image in found]
        case _:
            return Refusal("bad_field", f"an image is a path or an image feature, not {type(value).__name__}")
