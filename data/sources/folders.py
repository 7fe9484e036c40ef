"""Folders: one study a folder, `<id>/image.*` and `<id>/report.txt`.

    id          folders/<the folder's name>
    patient_id  the study's id: the layout does not say which studies share a patient
    image.*     one or several of PNG, JPEG, DICOM; not opened with text_only
    report.txt  UTF-8; the line end that closes the file is not part of the report

If report.txt holds steps before the report, in one of the layouts of schemas/layout.py, the report is the
reference and the whole text goes to the store's traces.jsonl, which `tenstep audit` reads. Hidden entries
(`.DS_Store`) are passed over; anything else that is not a study's folder is a rejected row.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ...schemas.errors import InputError
from ...schemas.study import DataClass
from ..formats.folders import REPORT, report_of
from ..intake.assemble import Draft, assemble, rejected
from ..intake.images import ImageFile
from ..intake.reports import Refusal
from ..source import Options, Row, Shard

_NAME = "folders"
_STUDIES = 100  # of a part


def shards(path: Path, options: Options) -> Iterator[Shard]:
    """Names of the folders under `path`, in order, some at a time.

    Raises:
        InputError: `path` is missing, no folder, empty, or itself a study's folder.
    """
    if not path.is_dir():
        raise InputError("there is no such folder" if not path.exists() else "this is not a folder", file=path)
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    if not entries:
        raise InputError(f"the folder is empty; it should hold <id>/image.* and <id>/{REPORT}", file=path)
    if (path / REPORT).is_file():
        raise InputError("this is the folder of one study; name the folder that holds it", file=path)
    for start in range(0, len(entries), _STUDIES):
        yield path, tuple(entry.name for entry in entries[start : start + _STUDIES])


def read_shard(shard: Shard, options: Options) -> Iterator[Row]:
    """The studies of one part."""
    path, names = shard
    for name in names:
        draft = _draft(path / name, path, options.data_class)
        if isinstance(draft, Refusal):
            yield rejected(_NAME, name, draft)
        else:
            yield from assemble(draft, options, options.form or "verbatim")


def read(path: Path, options: Options) -> Iterator[Row]:
    """All studies, in the order of their folders' names."""
    return chain.from_iterable(read_shard(shard, options) for shard in shards(path, options))


def _draft(folder: Path, root: Path, data_class: DataClass) -> Draft | Refusal:
    text = report_of(folder, root)
    if isinstance(text, Refusal):
        return text
    return Draft(
        source=_NAME,
        native_id=folder.name,
        where=folder.name,
        text=text,
        data_class=data_class,
        root=root,
        images=tuple(ImageFile(image) for image in sorted(folder.glob("image.*"))),
    )
