"""parquet: one file a split with the images inside, as the hub shows them; `load_dataset` needs nothing else.

The images' bytes are written here, because `Dataset.to_parquet` writes paths of this machine in their place. The
feature types stand in the schema, so that images load as images. Form: datasets 5.2, key `huggingface` of the schema.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..exporter import Folder, Row, by_split
from ..files import PART

if TYPE_CHECKING:
    import pyarrow as pa

PAIRS = "none"
_AT_ONCE = 64  # rows in a row group: some ten megabytes of images
_TEXT = {"dtype": "string", "_type": "Value"}
_FEATURES = {
    "id": _TEXT,
    "images": {"feature": {"_type": "Image"}, "_type": "List"},
    "views": {"feature": _TEXT, "_type": "List"},
    "prompt": _TEXT,
    "completion": _TEXT,
    "steps": {"feature": _TEXT, "_type": "List"},
    "report": _TEXT,
    "teacher": _TEXT,
    "model": _TEXT,
}


def write(rows: Iterable[Row], folder: Folder) -> None:
    """data/SPLIT.parquet."""
    import pyarrow.parquet as pq

    schema = _schema()
    (folder.root / "data").mkdir(exist_ok=True)
    for split, some in by_split(rows):
        path = folder.root / "data" / f"{split}.parquet"
        part = path.with_name(path.name + PART)
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for start in range(0, len(some), _AT_ONCE):
                writer.write_table(_table(some[start : start + _AT_ONCE], folder, schema))
        part.replace(path)


def texts_in(path: Path) -> Iterator[str]:
    """Every text of a parquet file's columns, also of lists of texts; images are left out."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(64):
        for column in batch.columns:
            flat = column.flatten() if pa.types.is_list(column.type) else column
            if pa.types.is_string(flat.type) or pa.types.is_large_string(flat.type):
                yield from (text for text in flat.to_pylist() if text)


def _schema() -> "pa.Schema":
    import pyarrow as pa

    text = pa.string()
    image = pa.struct([("bytes", pa.binary()), ("path", text)])
    types = {"images": pa.list_(image), "views": pa.list_(text), "steps": pa.list_(text)}
    features = json.dumps({"info": {"features": _FEATURES}})
    return pa.schema([(name, types.get(name, text)) for name in _FEATURES], metadata={"huggingface": features})


def _table(rows: list[Row], folder: Folder, schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    lines = [
        {
            "id": row.id,
            "images": [{"bytes": data, "path": name} for name, data in folder.contents(row)],
            "views": [film.view for film in row.films],
            "prompt": row.prompt,
            "completion": row.target,
            "steps": list(row.steps),
            "report": row.report,
            "teacher": row.teacher,
            "model": row.model,
        }
        for row in rows
    ]
    return pa.Table.from_pylist(lines, schema=schema)
