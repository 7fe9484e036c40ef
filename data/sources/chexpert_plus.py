"""CheXpert Plus: the table `df_chexpert_plus_240401.csv`, one row an image, with or without its unnamed index.

    PATH        the CSV, or the CSV as .gz, or the folder that holds it
    --images    the folder that holds train/ and valid/ (PNG or JPEG release, or DICOM); PATH's folder if not given
    id          chexpert-plus/patient00001/study2: all its rows, all its views
    patient_id  chexpert-plus/patient00001
    images      path_to_image with .png, .jpg or .jpeg, whichever is there, else path_to_dcm
    views       ap_pa where there is one, else frontal_lateral
    split       train or valid, as published

Only the columns that are named here are read: age, sex, race, ethnicity and the other demographics never enter the
process beyond the CSV's own line. Sections are the table's; lines that are no report (signatures, phone numbers,
`END OF IMPRESSION`) are dropped from them, and history is kept without age and sex. The data class is `restricted`,
whatever is said.

Rows of one study are put together wherever they stand; the table is read twice for that, the first time for its paths
alone. De-identification draws dates, names and numbers for each row anew: rows of one study whose texts differ in
nothing else are one study with the first row's text and the warning `surrogates_differ`.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ...schemas.errors import InputError
from ...schemas.study import Sections
from ..formats.packed import CutOffError, open_file
from ..formats.table import PART, CsvRow, CsvTable, size_of
from ..intake.assemble import Draft, assemble, rejected
from ..intake.boilerplate import without_boilerplate
from ..intake.deidentify import without_age_and_sex, without_surrogates
from ..intake.images import ImageFile
from ..intake.reports import Refusal
from ..intake.together import together
from ..source import Row, RowsRead, Shard, SourceOptions

_NAME = "chexpert-plus"
_FILES = ("df_chexpert_plus_*.csv", "df_chexpert_plus_*.csv.gz")
_SECTIONS = {
    "technique": ("section_technique",),
    "findings": ("section_findings",),
    "impression": ("section_impression",),
    "comparison": ("section_comparison",),
    "history": ("section_history", "section_clinical_history"),
}
_LONG = ("findings", "impression")  # what signatures and end marks follow
_OF_STUDY = ("report", *chain.from_iterable(_SECTIONS.values()), "split")
_COLUMNS = ("path_to_image", "path_to_dcm", "frontal_lateral", "ap_pa", "deid_patient_id", *_OF_STUDY)
_REQUIRED = ("path_to_image", "report", "section_findings", "section_impression")
_PATH = re.compile(r"(?:^|/)((?:train|valid|test)/(patient\d+)/(study\d+)/[\w.-]+)$")
_STUDY = re.compile(rb"patient\d+/study\d+(?=/)")
_BLOCK = 2**20  # bytes
_OTHERS = re.compile(r"comparison|history|clinical|findings|impression", re.I)
_WITH_IMAGES = 2**17  # characters of the table in a part when images are opened: they are the work then


class _ImageRow(NamedTuple):
    row: int
    cells: dict[str, str]
    path: str
    patient: str
    study: str


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """Rows of the table, some at a time; no study lies in two parts.

    Raises:
        InputError: there is no table at `path`, or it lacks a column.
    """
    file = _table(path)
    root = options.images or file.parent
    if not root.is_dir():
        raise InputError("there is no such folder of images; name it with --images", file=root)
    table = CsvTable(file, _REQUIRED, _COLUMNS)
    size = PART if options.text_only else _WITH_IMAGES
    held: list[CsvRow] = []
    length = 0

    def names() -> Iterator[str]:
        return map(_study_of, CsvTable(file, _REQUIRED, ("path_to_image",)))

    for lines in together(names, table, _study_of, lambda: _mentions(file)):
        if length >= size:
            yield file.name, tuple(held), root, table.share
            held, length = [], 0
        held += lines
        length += sum(map(size_of, lines))
    if held:
        yield file.name, tuple(held), root, table.share


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part, in the order in which they begin."""
    table, lines, root, _ = shard
    groups: dict[str, list[_ImageRow]] = {}
    for row in _images(table, lines):
        if isinstance(row, _ImageRow):
            groups.setdefault(f"{row.patient}/{row.study}", []).append(row)
        else:
            yield rejected(_NAME, *row)
    for name, every in groups.items():
        once: dict[str, _ImageRow] = {}
        for image in every:
            once.setdefault(image.path, image)
        images = list(once.values())
        where = f"{table} row {images[0].row} ({name})"
        found = _differences(images)
        if isinstance(found, Refusal):
            yield rejected(_NAME, where, found)
        else:
            if len(images) < len(every):
                found = (*found, ("repeated_rows", f"{len(every) - len(images)} of its rows name an image again"))
            draft = _draft(name, where, images, root, options)._replace(warnings=found)
            yield from assemble(draft, options, options.form or "four-header")
    yield RowsRead(len(lines))


def share(shard: Shard) -> float | None:
    """How much of the file lies up to the end of a part."""
    found: float | None = shard[-1]
    return found


def _table(path: Path) -> Path:
    if path.is_dir():
        found = sorted(file for pattern in _FILES for file in path.glob(pattern))
        if len(found) != 1:
            raise InputError(f"the folder holds {len(found)} files {_FILES[0]}; name the one to read", file=path)
        return found[0]
    if not path.exists():
        raise InputError("there is no such file or folder; check the name", file=path)
    return path


def _study_of(line: CsvRow) -> str:
    """The study that a record names; empty if it names none."""
    found = None if isinstance(line.cells, Refusal) else _PATH.search(line.cells["path_to_image"].strip())
    return f"{found[2]}/{found[3]}" if found else ""


def _mentions(file: Path) -> Iterator[str]:
    """Every study that the bytes of the table name, whichever column it stands in."""
    with open_file(file) as stream, contextlib.suppress(CutOffError):  # reading the rows will report it
        while block := stream.read(_BLOCK):
            yield from map(bytes.decode, _STUDY.findall(block + stream.readline(_BLOCK)))


def _images(table: str, lines: Iterable[CsvRow]) -> Iterator[_ImageRow | tuple[str, Refusal]]:
    for line in lines:
        if isinstance(line.cells, Refusal):
            yield f"{table} row {line.number}", line.cells
            continue
        path = line.cells["path_to_image"].strip()
        found = _PATH.search(path)
        if found is None or ".." in path.split("/"):
            detail = f"path_to_image is {path[:60]!a}, not train/patient00001/study1/view1_frontal.jpg"
            yield f"{table} row {line.number}", Refusal("bad_id", detail)
        else:
            yield _ImageRow(line.number, line.cells, found[1], found[2], found[3])


def _differences(images: Sequence[_ImageRow]) -> tuple[tuple[str, str], ...] | Refusal:
    """Why rows are not one study; else the warning that they differ in surrogates, where they do."""
    first = images[0]
    patients = {image.cells.get("deid_patient_id", "").strip() for image in images} - {"", first.patient}
    if patients:
        named = ", ".join(sorted(patients | {first.patient}))
        return Refusal("study_of_two_patients", f"its rows name {named}; a study has one patient")
    differing: dict[str, None] = {}
    for image in images[1:]:
        for column in _OF_STUDY:
            one, other = first.cells.get(column, ""), image.cells.get(column, "")
            if one == other:
                continue
            if column == "split" or without_surrogates(one) != without_surrogates(other):
                return Refusal("conflicting_rows", f"rows {first.row} and {image.row} differ in '{column}'")
            differing[column] = None
    if not differing:
        return ()
    detail = f"its rows differ in dates, names or numbers of {', '.join(differing)}; row {first.row} is used"
    return (("surrogates_differ", detail),)


def _draft(name: str, where: str, images: Sequence[_ImageRow], root: Path, options: SourceOptions) -> Draft:
    cells = images[0].cells
    report = cells["report"]
    marks = []
    sections: dict[str, str] = {}
    for section, columns in _SECTIONS.items():
        text = next((text for column in columns if (text := cells.get(column, "").strip())), "")
        if text and section in _LONG:
            text = without_boilerplate(text)
        if text:
            sections[section] = text
    if (history := sections.get("history")) and (changed := without_age_and_sex(history)) != history:
        sections["history"] = changed
        marks.append("history=without age and sex")
    films = tuple(ImageFile(_place(image, root, options), _view(image.cells)) for image in images)
    return Draft(
        source=_NAME,
        native_id=name,
        where=where,
        text=report,
        data_class="restricted",
        root=root,
        images=films,
        views=tuple(dict.fromkeys(film.view for film in films if film.view != "unknown")),
        sections=Sections(**sections),
        patient_id=f"{_NAME}/{images[0].patient}",
        split=cells.get("split", "").strip() or images[0].path.partition("/")[0],
        steps=False,
        view_text=f"{sections.get('technique', '')} {_title(report)}",
        marks=tuple(marks),
    )


def _title(report: str) -> str:
    """A report opens with what was examined: `NARRATIVE: CHEST 2 VIEWS ...`; what follows a comparison is of others."""
    opening = report[:300]
    other = _OTHERS.search(opening)
    return opening[: other.start()] if other else opening


def _view(cells: dict[str, str]) -> str:
    position = cells.get("ap_pa", "").strip().upper()
    plane = cells.get("frontal_lateral", "").strip().lower()
    if plane == "lateral":
        return plane
    return position if position in ("AP", "PA") else plane or "unknown"


def _place(image: _ImageRow, root: Path, options: SourceOptions) -> Path:
    if options.text_only:
        return root
    plain = root / image.path
    every = [plain, *(plain.with_suffix(suffix) for suffix in (".png", ".jpg", ".jpeg"))]
    if dicom := image.cells.get("path_to_dcm", "").strip():
        every.append(root / dicom)
    every.append(plain.with_suffix(".dcm"))
    return next((file for file in every if file.exists()), plain)
