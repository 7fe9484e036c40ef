"""CheXpert Plus: the table `df_chexpert_plus_240401.csv`, one row an image, with or without its unnamed index.

    PATH        the CSV, or the folder that holds it
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

Rows of one study should stand together, as they do in the release. Where they lie megabytes apart, the later ones
are rejected as a duplicate id, not merged.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ...schemas.errors import InputError
from ...schemas.study import Sections
from ..intake.assemble import Draft, assemble, rejected
from ..intake.boilerplate import without_boilerplate
from ..intake.deidentify import without_age_and_sex
from ..intake.images import ImageFile
from ..intake.reports import Refusal
from ..intake.table import PART, Part, csv_parts, read_part, share_of
from ..source import Options, Row, RowsRead, Shard

_NAME = "chexpert-plus"
_FILE = "df_chexpert_plus_*.csv"
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
_OTHERS = re.compile(r"comparison|history|clinical|findings|impression", re.I)
_WITH_IMAGES = 2**18  # bytes of the table in a part when images are opened: they are the work then


class _Image(NamedTuple):
    row: int
    cells: dict[str, str]
    path: str
    patient: str
    study: str


def shards(path: Path, options: Options) -> Iterator[Shard]:
    """Parts of the table; no study lies in two.

    Raises:
        InputError: there is no table at `path`, or it lacks a column.
    """
    file = _table(path)
    root = options.images or file.parent
    if not root.is_dir():
        raise InputError("there is no such folder of images", file=root)
    place = 0

    def study(row: Sequence[str]) -> str:
        found = _PATH.search(row[place].strip()) if place < len(row) else None
        return f"{found[2]}/{found[3]}" if found else ""

    parts = csv_parts(file, _REQUIRED, study, PART if options.text_only else _WITH_IMAGES)
    for part in parts:
        place = part.header.index("path_to_image")
        yield part, root


def read_shard(shard: Shard, options: Options) -> Iterator[Row]:
    """The studies of one part, in the order in which they begin."""
    part, root = shard
    groups: dict[str, list[_Image]] = {}
    rows, table = 0, part.path.name
    for row in _images(part):
        rows += 1
        if isinstance(row, _Image):
            groups.setdefault(f"{row.patient}/{row.study}", []).append(row)
        else:
            yield rejected(_NAME, *row)
    for name, images in groups.items():
        where = f"{table} row {images[0].row} ({name})"
        refusal = _conflict(images)
        if refusal is not None:
            yield rejected(_NAME, where, refusal)
        else:
            yield from assemble(_draft(name, where, images, root, options), options, options.form or "four-header")
    yield RowsRead(rows)


def share(shard: Shard) -> float:
    """How much of the file lies up to the end of a part."""
    return share_of(shard[0])


def read(path: Path, options: Options) -> Iterator[Row]:
    """All studies, one after the other."""
    return chain.from_iterable(read_shard(shard, options) for shard in shards(path, options))


def _table(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob(_FILE))
        if len(found) != 1:
            raise InputError(f"the folder holds {len(found)} files {_FILE}; name the one to read", file=path)
        return found[0]
    if not path.exists():
        raise InputError("there is no such file or folder", file=path)
    return path


def _images(part: Part) -> Iterator[_Image | tuple[str, Refusal]]:
    table = part.path.name
    for line in read_part(part, _COLUMNS):
        if isinstance(line.cells, Refusal):
            yield f"{table} row {line.number}", line.cells
            continue
        path = line.cells["path_to_image"].strip()
        found = _PATH.search(path)
        if found is None or ".." in path.split("/"):
            detail = f"path_to_image is {path[:60]!a}, not train/patient00001/study1/view1_frontal.jpg"
            yield f"{table} row {line.number}", Refusal("bad_id", detail)
        else:
            yield _Image(line.number, line.cells, found[1], found[2], found[3])


def _conflict(images: Sequence[_Image]) -> Refusal | None:
    first = images[0]
    patients = {image.cells.get("deid_patient_id", "").strip() for image in images} - {"", first.patient}
    if patients:
        named = ", ".join(sorted(patients | {first.patient}))
        return Refusal("study_of_two_patients", f"its rows name {named}; a study has one patient")
    for image in images[1:]:
        for column in _OF_STUDY:
            if image.cells.get(column) != first.cells.get(column):
                return Refusal("conflicting_rows", f"rows {first.row} and {image.row} differ in '{column}'")
    return None


def _draft(name: str, where: str, images: Sequence[_Image], root: Path, options: Options) -> Draft:
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


def _place(image: _Image, root: Path, options: Options) -> Path:
    if options.text_only:
        return root
    plain = root / image.path
    every = [plain, *(plain.with_suffix(suffix) for suffix in (".png", ".jpg", ".jpeg"))]
    if dicom := image.cells.get("path_to_dcm", "").strip():
        every.append(root / dicom)
    every.append(plain.with_suffix(".dcm"))
    return next((file for file in every if file.exists()), plain)
