"""Any CSV with a header, UTF-8 and commas, gzipped or not: `--columns map.yaml` maps columns to fields.

    PATH        the CSV, or the CSV as .gz
    --columns   see data/columns.py; without it, columns of the mapping's own names are used
    --images    the folder that image paths are relative to; the CSV's own if not given
    id          csv/<id>

A report column may hold steps before the report, as in other sources; then the table's sections are those of the
report. Rows whose id is taken are rejected.
"""

from collections.abc import Iterator
from pathlib import Path

from ...schemas.errors import InputError
from ..formats.table import PART, CsvTable, in_parts
from ..intake.assemble import assemble, rejected
from ..intake.mapped import absent, draft_of, paths_in
from ..intake.reports import Refusal
from ..source import Row, Shard, SourceOptions

_NAME = "csv"
_WITH_IMAGES = 2**17  # characters of the table in a part when images are opened


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """Rows of the file, some at a time.

    Raises:
        InputError: there is no such file, it is empty, or it lacks a column of the mapping.
    """
    if not path.is_file():
        raise InputError(
            "there is no such file; check the name" if not path.exists() else "this is not a file; name the table",
            file=path,
        )
    root = options.images or path.parent
    if not root.is_dir():
        raise InputError("there is no such folder of images; name it with --images", file=root)
    table = CsvTable(path, (options.columns.id,), options.columns.every())
    if (column := absent(options.columns, table.header)) is not None:
        table.close()
        found = ", ".join(name[:30] for name in table.header[:12])
        raise InputError(f"the column is missing; found: {found}; see --columns", file=path, row=1, field=column)
    for lines in in_parts(table, PART if options.text_only else _WITH_IMAGES):
        yield path.name, table.header, lines, root, table.share


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part."""
    name, header, lines, root, _ = shard
    for line in lines:
        where = f"{name} row {line.number}"
        if isinstance(line.cells, Refusal):
            yield rejected(_NAME, where, line.cells)
            continue
        cells = line.cells
        images = [image for column in options.columns.image_columns for image in paths_in(cells.get(column, ""), root)]
        draft = draft_of(_NAME, cells, images, where, root, options, header)
        if isinstance(draft, Refusal):
            yield rejected(_NAME, where, draft)
        else:
            yield from assemble(draft, options, options.form or "verbatim")


def share(shard: Shard) -> float | None:
    """How much of the file lies up to the end of a part."""
    found: float | None = shard[-1]
    return found
