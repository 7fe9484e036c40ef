"""What there is of MIMIC-CXR on this disk, study by study, before any report or image is opened.

Finds the reports (a folder tree, or mimic-cxr-reports.zip, in place) and joins them with the lists of MIMIC-CXR 2.1.0
(cxr-study-list, cxr-record-list) and the tables of MIMIC-CXR-JPG 2.1.0 (mimic-cxr-2.0.0-metadata, -split, -chexpert,
-negbio; the files keep 2.0.0 in their names), whichever are there, .csv or .csv.gz. Identifiers stay text. The join
is a temporary database, so memory does not grow with the number of studies.
"""

import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ...schemas.base import Status
from ...schemas.errors import InputError
from ..formats.table import read_csv
from ..ids import plain_id
from ..query import rows_of
from .reports import UNKNOWN_VIEW, Refusal
from .zip_index import ZipEntry, zip_entries

ARCHIVE = "mimic-cxr-reports.zip"
MAX_REPORT_BYTES = 400_000
_REPORT = re.compile(r"(?:^|/)p(\d\d)/p(\d{8})/s(\d{8})\.txt$")
_DICOM = re.compile(r"[\w-]{1,64}")
_VALUES: dict[str, Status] = {"1.0": "present", "1": "present", "0.0": "absent", "0": "absent",
                              "-1.0": "uncertain", "-1": "uncertain"}  # fmt: skip
_VIEWS = {"LATERAL": "lateral", "postero-anterior": "PA", "antero-posterior": "AP", "lateral": "lateral",
          "left lateral": "LL"}  # fmt: skip


class Planned(NamedTuple):
    """One study: where its report lies, and what the tables say of it."""

    study: str  # 8 digits
    subject: str
    report: PurePosixPath | ZipEntry | Refusal  # under `files`, or in the archive
    images: tuple[tuple[str, str], ...] | None  # dicom ids and views; none: whatever lies in the study's folder
    split: str | None
    labels: dict[str, Status]
    warnings: tuple[tuple[str, str], ...] = ()


class Places(NamedTuple):
    """Where things lie: folders that hold `files` (or are it), and the archive of reports."""

    roots: tuple[Path, ...]
    archive: Path | None


def places(path: Path, images: Path | None) -> Places:
    """Look around.

    Raises:
        InputError: there is nothing at `path` or `images`.
    """
    for place in (path, *((images,) if images else ())):
        if not place.exists():
            raise InputError("there is no such file or folder; check the name", file=place)
    folders = [place if place.is_dir() else place.parent for place in (path, *((images,) if images else ()))]
    if path.is_file() and path.suffix.lower() != ".zip":
        raise InputError(f"name the folder that holds MIMIC-CXR, or its {ARCHIVE}", file=path)
    archive = path if path.is_file() else next((f / ARCHIVE for f in folders if (f / ARCHIVE).is_file()), None)
    inner = [folder / name for folder in folders for name in ("mimic-cxr-reports", "files/mimic-cxr-reports")]
    return Places(tuple(dict.fromkeys([*folders, *(f for f in inner if f.is_dir())])), archive)


def plan(where: Places, *, with_images: bool) -> Iterator[Planned | tuple[str, Refusal]]:
    """Every study once, in the order of the archive, the study list or the folders; and what could not be read.

    Raises:
        InputError: no report can be found, or a table lacks a column.
    """
    with tempfile.TemporaryDirectory(prefix="tenstep-") as folder:
        database = sqlite3.connect(Path(folder) / "plan.db", isolation_level=None)
        database.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE listed (study TEXT, subject TEXT, path TEXT, found INTEGER DEFAULT 0);"
            "CREATE TABLE images (study TEXT, subject TEXT, dicom TEXT, view TEXT DEFAULT 'unknown');"
            "CREATE TABLE splits (study TEXT, subject TEXT, split TEXT);"
            "CREATE TABLE labels (study TEXT, subject TEXT, name TEXT, status TEXT);"
        )
        database.execute("BEGIN")
        tables = _Tables(database, where.roots)
        yield from tables.read_lists(with_images=with_images)
        database.execute("COMMIT")
        for number, name in enumerate(("listed", "images", "splits", "labels")):
            database.execute(f"CREATE INDEX by_study_{number} ON {name} (study)")
        count = 0
        for study, subject, report in _reports(where, tables):
            count += 1
            yield tables.planned(study, subject, report)
        database.close()
        if not count:
            raise InputError(
                f"neither {ARCHIVE} nor files/p10/p10000032/s50414267.txt is there; "
                "name the folder that the download made",
                file=where.roots[0],
            )


def _reports(where: Places, tables: "_Tables") -> Iterator[tuple[str, str, PurePosixPath | ZipEntry | Refusal]]:
    if where.archive is not None:
        for entry in zip_entries(where.archive, max_size=MAX_REPORT_BYTES):
            yield from _archived(entry, tables)
        for study, subject, _ in tables.listed("found = 0"):
            yield study, subject, Refusal("no_report", f"the study list names it, and it is not in {ARCHIVE}")
    elif tables.has_list:
        for study, subject, path in tables.listed("1"):
            yield study, subject, _report_of(study, subject, path)
    else:
        yield from _walk(where.roots)


def _archived(entry: ZipEntry, tables: "_Tables") -> Iterator[tuple[str, str, ZipEntry | Refusal]]:
    found = _REPORT.search(entry.name)
    if found is None or entry.refusal is not None:
        named = entry.refusal or Refusal("other_file", "its name is not that of a report")
        yield entry.name[:200], "", named
        return
    _, subject, study = found.groups()
    owner = tables.owner(study, subject)
    if owner is not None and owner != subject:
        yield study, subject, Refusal("report_of_another_study", f"the study list gives s{study} to p{owner}")
    elif found[1] != subject[:2]:
        yield (
            study,
            subject,
            Refusal("report_of_another_study", f"p{subject} lies in the folder p{found[1]}"),
        )
    else:
        yield study, subject, entry


def _report_of(study: str, subject: str, path: str) -> PurePosixPath | Refusal:
    """A report's place, if the study list's path is that of this study."""
    found = _REPORT.search(path)
    place = PurePosixPath(path)
    if found is None or place.is_absolute() or ".." in place.parts:
        return Refusal("outside_folder", f"{path[:80]!r} is not the path of a report")
    if found.groups() != (subject[:2], subject, study):
        return Refusal(
            "report_of_another_study", f"the list gives p{subject}/s{study} the report {found[0].strip('/')}"
        )
    return place


def _walk(roots: Sequence[Path]) -> Iterator[tuple[str, str, PurePosixPath | Refusal]]:
    for root in roots:
        base = next((b for b in (root / "files", root) if any(b.glob("p[0-9][0-9]"))), None)
        if base is None:
            continue
        prefix = base.relative_to(root)
        found_any = False
        for group in sorted(base.glob("p[0-9][0-9]")):
            for patient in sorted(group.glob("p*")):
                for file in sorted(patient.glob("s*.txt")):
                    found_any = True
                    place = PurePosixPath(prefix, group.name, patient.name, file.name)
                    found = _REPORT.search(str(place))
                    if found is None:
                        yield str(place), "", Refusal("other_file", "its name is not that of a report")
                    else:
                        yield found[3], found[2], _report_of(found[3], found[2], str(place))
        if found_any:
            return


class _Tables:
    """The temporary database."""

    def __init__(self, database: sqlite3.Connection, roots: Sequence[Path]) -> None:
        self._database, self._roots = database, roots
        self.has_list = False
        self._has_images = False

    def read_lists(self, *, with_images: bool) -> Iterator[tuple[str, Refusal]]:
        """Fill the database; yields rows that cannot be used."""
        if file := self._find("cxr-study-list"):
            self.has_list = True
            yield from self._fill(file, ("study_id", "subject_id", "path"), "INSERT INTO listed VALUES (?, ?, ?, 0)")
        if file := self._find("mimic-cxr-2.0.0-metadata"):
            self._has_images = True
            more = ("ViewPosition", "ViewCodeSequence_CodeMeaning")
            yield from self._fill(
                file, ("study_id", "subject_id", "dicom_id", *more), "INSERT INTO images VALUES (?, ?, ?, ?)"
            )
        elif with_images and (file := self._find("cxr-record-list")):
            self._has_images = True
            yield from self._fill(
                file,
                ("study_id", "subject_id", "dicom_id"),
                "INSERT INTO images (study, subject, dicom) VALUES (?, ?, ?)",
            )
        if file := self._find("mimic-cxr-2.0.0-split"):
            yield from self._fill(file, ("study_id", "subject_id", "split"), "INSERT INTO splits VALUES (?, ?, ?)")
        if file := self._find("mimic-cxr-2.0.0-chexpert", "mimic-cxr-2.0.0-negbio"):
            yield from self._fill_labels(file)

    def listed(self, condition: str) -> Iterator[tuple[str, str, str]]:
        """Rows of the study list."""
        query = f"SELECT study, subject, path FROM listed WHERE {condition} ORDER BY rowid"  # noqa: S608 constants
        yield from rows_of(self._database, query)

    def owner(self, study: str, subject: str) -> str | None:
        """Whose study the list says it is; the row counts as found."""
        if not self.has_list:
            return None
        rows = [row[0] for row in self._database.execute("SELECT subject FROM listed WHERE study = ?", (study,))]
        self._database.execute("UPDATE listed SET found = 1 WHERE study = ? AND subject = ?", (study, subject))
        return subject if subject in rows or not rows else str(rows[0])

    def planned(self, study: str, subject: str, report: PurePosixPath | ZipEntry | Refusal) -> Planned:
        """What the tables say of a study."""
        key = (study, subject)
        get = self._database.execute
        images = tuple(get("SELECT dicom, view FROM images WHERE study = ? AND subject = ? ORDER BY rowid", key))
        splits = [row[0] for row in get("SELECT DISTINCT split FROM splits WHERE study = ? AND subject = ?", key)]
        labels = dict(get("SELECT name, status FROM labels WHERE study = ? AND subject = ?", key))
        warnings: tuple[tuple[str, str], ...] = ()
        if len(splits) > 1:
            warnings = (("two_splits", f"its images are in {' and '.join(sorted(splits))}; it is in none"),)
        split = splits[0] if len(splits) == 1 else None
        return Planned(study, subject, report, images if self._has_images else None, split, labels, warnings)

    def _find(self, *names: str) -> Path | None:
        every = (root / f"{name}.csv{end}" for name in names for root in self._roots for end in ("", ".gz"))
        return next((file for file in every if file.is_file()), None)

    def _fill(self, file: Path, columns: Sequence[str], insert: str) -> Iterator[tuple[str, Refusal]]:
        required = [name for name in columns if name not in ("ViewPosition", "ViewCodeSequence_CodeMeaning")]
        has_view = len(required) < len(columns)
        for line in read_csv(file, required, columns):
            if isinstance(line.cells, Refusal):
                yield f"{file.name} row {line.number}", line.cells
                continue
            values = [plain_id(line.cells[name]) for name in required]
            if "dicom_id" in line.cells and not _DICOM.fullmatch(plain_id(line.cells["dicom_id"])):
                yield f"{file.name} row {line.number}", Refusal("bad_id", "its dicom_id cannot name an image's file")
                continue
            self._database.execute(insert, [*values, _view(line.cells)] if has_view else values)

    def _fill_labels(self, file: Path) -> Iterator[tuple[str, Refusal]]:
        for line in read_csv(file, ("study_id", "subject_id")):
            if isinstance(line.cells, Refusal):
                yield f"{file.name} row {line.number}", line.cells
                continue
            key = (plain_id(line.cells.pop("study_id")), plain_id(line.cells.pop("subject_id")))
            known = [
                (*key, name, _VALUES[value]) for name, cell in line.cells.items() if (value := cell.strip()) in _VALUES
            ]
            self._database.executemany("INSERT INTO labels VALUES (?, ?, ?, ?)", known)


def _view(cells: dict[str, str]) -> str:
    position = cells.get("ViewPosition", "").strip() or cells.get("ViewCodeSequence_CodeMeaning", "").strip()
    return _VIEWS.get(position, position[:16]) or UNKNOWN_VIEW
