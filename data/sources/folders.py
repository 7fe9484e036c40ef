"""Folders: one study a folder, with its images and `report.txt`, which may be gzipped.

    id          folders/<the folder's name>
    patient_id  of patients.csv (id, patient_id, perhaps split) next to the folders, or --patients CSV; without one, the
                study's id: the layout does not say which studies share a patient
    images      all PNG, JPEG and DICOM files of the folder: image.png, frontal.png and lateral.png, image_1.png; a name
                that says a view is that view; not opened with text_only
    report.txt  UTF-8; the line end that closes the file is not part of the report

If report.txt holds steps before the report, in one of the layouts of schemas/layout.py, the report is the
reference and the whole text goes to the store's traces.jsonl, which `tenstep audit` reads. Hidden entries
(`.DS_Store`) are passed over; anything else that is not a study's folder is a rejected row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...schemas.errors import InputError
from ...schemas.study import DataClass
from ...schemas.views import Kind, view_kinds
from ..formats.folders import REPORT, report_of
from ..formats.table import CsvRow, read_csv
from ..ids import is_missing, join_ids, plain_id
from ..intake.assemble import Draft, assemble, rejected
from ..intake.images import SUFFIXES, ImageFile
from ..intake.reports import UNKNOWN_VIEW, Refusal
from ..source import Row, Shard, SourceOptions

_NAME = "folders"
_STUDIES = 100  # of a part


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """Names of the folders under `path`, in order, some at a time.

    Raises:
        InputError: `path` is missing, no folder, empty, or itself a study's folder.
    """
    if not path.is_dir():
        raise InputError(
            "there is no such folder; check the name"
            if not path.exists()
            else "this is not a folder; name the one that holds <id>/report.txt",
            file=path,
        )
    mapping = _mapping(path, options)
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith(".") and entry != mapping)
    if not entries:
        raise InputError(f"the folder is empty; it should hold <id>/image.* and <id>/{REPORT}", file=path)
    if (path / REPORT).is_file():
        raise InputError("this is the folder of one study; name the folder that holds it", file=path)
    names = [entry.name for entry in entries]
    patients, unmatched = _patients(mapping, names) if mapping else ({}, ())
    for start in range(0, len(names), _STUDIES):
        some = names[start : start + _STUDIES]
        known = {name: patients[name] for name in some if name in patients}
        yield path, tuple(some), known if mapping else None, unmatched if start == 0 else ()


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part."""
    path, names, patients, unmatched = shard
    for where, detail in unmatched:
        yield rejected(_NAME, where, Refusal("no_study", detail))
    for name in names:
        draft = _draft(path / name, path, options.data_class)
        if isinstance(draft, Refusal):
            yield rejected(_NAME, name, draft)
            continue
        if patients is not None:
            patient, split = patients.get(name, (None, None))
            odd = () if patient else (("no_patient", "the mapping of patients does not name it; its id stands in"),)
            named = f"{_NAME}/{patient}" if patient else None
            draft = draft._replace(patient_id=named, split=split, warnings=odd)
        yield from assemble(draft, options, options.form or "verbatim")


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
        images=tuple(ImageFile(image, _view_of(image)) for image in sorted(folder.iterdir()) if _is_image(image)),
    )


def _is_image(file: Path) -> bool:
    return not file.name.startswith(".") and (file.suffix.lower() in SUFFIXES or file.stem.lower() == "image")


def _view_of(image: Path) -> str:
    """The view that a file's name says: `frontal.png`, `PA.dcm`."""
    kinds = view_kinds(image.stem)
    order: tuple[Kind, ...] = ("PA", "AP", "lateral", "oblique", "decubitus")
    named = [view for view in order if view in kinds] or [view for view in kinds if view == "frontal"]
    return named[0] if len(named) == 1 else UNKNOWN_VIEW


def _mapping(path: Path, options: SourceOptions) -> Path | None:
    nearby = [path / name for name in ("patients.csv", "patients.csv.gz")]
    return options.patients or next((file for file in nearby if file.is_file()), None)


def _patients(
    mapping: Path, names: Sequence[str]
) -> tuple[dict[str, tuple[str | None, str | None]], tuple[tuple[str, str], ...]]:
    """The patient and split of each study that a mapping names, and its rows that name none.

    Raises:
        InputError: it cannot be read, or names none of the studies.
    """
    known = {f"{_NAME}/{name}": name for name in names}
    patients: dict[str, tuple[str | None, str | None]] = {}
    rows: dict[str, CsvRow] = {}
    for line in read_csv(mapping, ("id", "patient_id"), ("id", "patient_id", "split")):
        if isinstance(line.cells, Refusal):
            raise InputError(line.cells.detail, file=mapping, row=line.number)
        before = rows.setdefault(line.cells["id"], line)
        if before.cells != line.cells:
            raise InputError(
                f"'{line.cells['id'][:60]}' stands in row {before.number} otherwise", file=mapping, row=line.number
            )
    joined = join_ids(rows, known)
    if not joined.found:
        first = next(iter(rows), "")
        raise InputError(
            f"none of its {len(rows):,} ids (the first: '{first[:60]}') is a folder here (the first: '{names[0]}')",
            file=mapping,
            field="id",
        )
    for entry, line in rows.items():
        assert isinstance(line.cells, dict)  # else it was raised above
        for id_ in join_ids([entry], joined.found).found:
            patient, split = line.cells["patient_id"], line.cells.get("split", "")
            given = None if is_missing(patient) else plain_id(patient)
            placed = (given, None if is_missing(split) else split.strip())
            if patients.setdefault(known[id_], placed) != placed:
                raise InputError(
                    f"'{entry[:60]}' is the folder '{known[id_]}', of which another row says otherwise",
                    file=mapping,
                    row=line.number,
                )
    missing = tuple(
        (f"{mapping.name} row {rows[entry].number}", f"there is no folder '{entry[:60]}'") for entry in joined.missing
    )
    return patients, missing
