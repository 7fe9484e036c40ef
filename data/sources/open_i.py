"""Open-i, the Indiana University chest X-ray collection: 3,955 public, de-identified examinations.

Reads the official `NLMCXR_reports.tgz` (in place), its folder of XML files, or the Kaggle form
(`indiana_reports.csv`, with `indiana_projections.csv` next to it for images and their projections).

    id          open-i/CXR<n>, in both forms, so that the same examination is recognised
    patient_id  the study's id: the collection does not say which examinations share a patient
    views       from the images' captions (XML), or their projections (Kaggle)
    labels      the MeSH codes that people gave, as they stand, each `present`
    images      <DIR>/<image id>.png, .jpg, .jpeg or .dcm; Kaggle: <DIR>/<filename>

The collection keeps sections and no whole report. The verbatim form is therefore its non-empty sections in
its order, `LABEL: text`, with a blank line between. The four-header form needs findings and impression:
of 3,955 studies 3,419 have both; the others are rejected as no_findings, no_impression or empty_report.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from ...schemas.errors import InputError
from ...schemas.study import Sections
from ..formats.table import read_csv
from ..ids import plain_id
from ..intake.archive import Member, tar_members
from ..intake.assemble import Draft, assemble, rejected
from ..intake.images import SUFFIXES, ImageFile, locate, read_limited
from ..intake.reports import UNKNOWN_VIEW, Refusal, is_empty, join_sections, views_in
from ..source import Row, Shard, SourceOptions

_NAME = "open-i"
_TEXTS, _STUDIES = 1000, 100  # of a part, without and with images
_MAX_XML = 2**20
_LABELS = ("COMPARISON", "INDICATION", "FINDINGS", "IMPRESSION")
_REPORTS, _PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"
_COLUMNS = ("uid", "MeSH", "image", *(label.lower() for label in _LABELS))


class _ImageFiles(NamedTuple):
    names: tuple[str, ...]
    view: str


class _Report(NamedTuple):
    """What both forms say of one examination."""

    uid: str
    sections: dict[str, str]
    views: tuple[str, ...]
    images: tuple[_ImageFiles, ...]
    mesh: tuple[str, ...]


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """Reports of the collection, some at a time; no image is opened.

    Raises:
        InputError: neither images nor text_only was given, or there is nothing at `path` that can be read.
    """
    if (options.images is None) == (not options.text_only):
        raise InputError("say where the images are with --images DIR, or take the reports alone with --text-only")
    if options.images is not None and not options.images.is_dir():
        raise InputError("there is no such folder of images; name it with --images", file=options.images)
    reports = _reports(path, options)
    while part := tuple(islice(reports, _TEXTS if options.text_only else _STUDIES)):
        yield part


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part."""
    for where, report in shard:
        if isinstance(report, Refusal):
            yield rejected(_NAME, where, report)
        else:
            yield from assemble(_draft(where, report, options), options, options.form or "four-header")


def _reports(path: Path, options: SourceOptions) -> Iterator[tuple[str, _Report | Refusal]]:
    if not path.exists():
        raise InputError("there is no such file or folder; check the name", file=path)
    table = path / _REPORTS
    if path.is_dir() and not table.is_file():
        return _parsed(_folder(path))
    if path.is_dir() or path.suffix.lower() == ".csv":
        return _kaggle(table if path.is_dir() else path, options)
    return _parsed(tar_members(path, max_member=_MAX_XML))


def _folder(path: Path) -> Iterator[Member]:
    files = sorted(path.rglob("*.xml"))
    if not files:
        raise InputError(f"the folder holds neither XML reports nor {_REPORTS}", file=path)
    for file in files:
        place = locate(file, path)
        content = place if isinstance(place, Refusal) else read_limited(place, _MAX_XML, "large_file")
        yield Member(str(file.relative_to(path)), content)


def _parsed(members: Iterator[Member]) -> Iterator[tuple[str, _Report | Refusal]]:
    for name, content in members:
        if isinstance(content, Refusal):
            yield name, content
        elif not name.lower().endswith(".xml"):
            yield name, Refusal("other_file", "not an XML report")
        else:
            yield name, _parse(content)


def _parse(data: bytes) -> _Report | Refusal:
    try:
        text = data.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return Refusal("bad_xml", "it declares a DTD or entities, which reports do not need")
        root = ElementTree.fromstring(text)  # noqa: S314  documents with a DTD have been refused
    except UnicodeDecodeError as error:
        return Refusal("bad_encoding", f"not UTF-8 at byte {error.start}")
    except (ElementTree.ParseError, ValueError) as error:
        return Refusal("bad_xml", f"not well-formed ({error})")
    uid = root.find("uId")
    native = (uid.get("id") or "").strip() if uid is not None else ""
    if not re.fullmatch(r"\w{1,64}", native):
        return Refusal("no_id", "no uId that names the report")
    sections = {
        label: " ".join("".join(part.itertext()).split())
        for part in root.iter("AbstractText")
        if (label := (part.get("Label") or "").upper()) in _LABELS
    }
    parents = root.findall("parentImage")
    views = views_in(" ".join(parent.findtext("caption") or "" for parent in parents))
    view = views[0] if len(views) == len(parents) == 1 else UNKNOWN_VIEW  # a caption covers all images
    return _Report(
        uid=native,
        sections=sections,
        views=views,
        images=tuple(_ImageFiles(tuple(f"{p.get('id')}{suffix}" for suffix in SUFFIXES), view) for p in parents),
        mesh=tuple(text for code in root.iterfind("MeSH/major") if (text := (code.text or "").strip())),
    )


def _kaggle(table: Path, options: SourceOptions) -> Iterator[tuple[str, _Report | Refusal]]:
    projections = table.with_name(_PROJECTIONS)
    if options.images is not None and not projections.is_file():
        raise InputError(f"images need {_PROJECTIONS} in the same folder, which names them", file=table)
    images: dict[str, list[_ImageFiles]] = {}
    if projections.is_file():
        for line in read_csv(projections, ("uid", "filename", "projection")):
            if isinstance(line.cells, Refusal):
                yield f"{projections.name} row {line.number}", line.cells
            else:
                image = _ImageFiles((line.cells["filename"],), line.cells["projection"].strip().lower() or UNKNOWN_VIEW)
                images.setdefault(plain_id(line.cells["uid"]), []).append(image)
    for line in read_csv(table, _COLUMNS):
        where, cells = f"{table.name} row {line.number}", line.cells
        if isinstance(cells, Refusal):
            yield where, cells
            continue
        uid = plain_id(cells["uid"])
        if not uid.isascii() or not uid.isdigit():
            yield where, Refusal("no_id", f"uid is {cells['uid'][:40]!r}, not a number")
            continue
        shown = tuple(images.get(uid, ()))
        yield (
            where,
            _Report(
                uid=f"CXR{uid}",
                sections={
                    label: " ".join(cells[label.lower()].split())
                    for label in _LABELS
                    if not is_empty(cells[label.lower()])
                },
                views=tuple(dict.fromkeys(image.view for image in shown)) or views_in(cells["image"]),
                images=shown,
                mesh=tuple(code for part in cells["MeSH"].split(";") if (code := part.strip())),
            ),
        )


def _draft(where: str, report: _Report, options: SourceOptions) -> Draft:
    given = {label: text for label in _LABELS if (text := report.sections.get(label))}
    reported = "FINDINGS" in given or "IMPRESSION" in given  # an indication alone is no report
    folder = options.images or Path()
    return Draft(
        source=_NAME,
        native_id=report.uid,
        where=f"{where} ({report.uid})",
        text=join_sections(given.items()) if reported else "",
        data_class="public",
        root=folder,
        images=tuple(ImageFile(_present(folder, image.names), image.view) for image in report.images),
        views=report.views,
        sections=Sections(**{label.lower(): text for label, text in given.items()}),
        labels=dict.fromkeys(report.mesh, "present"),
    )


def _present(folder: Path, names: tuple[str, ...]) -> Path:
    """The one of these files that is there; the first, if none is."""
    return next((path for name in names if (path := folder / name).exists()), folder / names[0])
