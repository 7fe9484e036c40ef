"""MIMIC-CXR 2.1.0 and MIMIC-CXR-JPG 2.1.0, read where they lie (data/intake/mimic_plan.py says what is looked for).

    PATH        the folder that holds files/ or mimic-cxr-reports.zip, or the zip itself
    --images    the folder of MIMIC-CXR-JPG (or the DICOM tree), if it is another one
    id          mimic-cxr/s50414267
    patient_id  mimic-cxr/p10000032
    images      files/p10/p10000032/s50414267/<dicom id>.jpg, .png or .dcm, whichever is there
    views       ViewPosition, else the view code's meaning, else the DICOM header's, else what the report says
    labels      the CheXpert labels, else NegBio's; blank ones are left out
    split       train, validate or test, as published

Sections follow the official rules (data/intake/mimic_sections.py). The four-header form takes Technique and, where the
findings may be missing, the official last paragraph in their place, marked `findings=last_paragraph`. Of 54 studies
the conclusion is known by hand: it becomes their impression, marked and warned of. History and indication are kept
without age and sex. The data class is `restricted`, whatever is said.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from ...schemas.study import RejectedRow, Sections
from ..intake.assemble import Draft, assemble, rejected
from ..intake.deidentify import without_age_and_sex
from ..intake.images import ImageFile, locate, read_limited
from ..intake.mimic_plan import MAX_REPORT_BYTES, Places, Planned, places, plan
from ..intake.mimic_sections import Override, headers_of, override, sections_of
from ..intake.reports import Refusal, decode, views_in
from ..intake.zip_index import ZipEntry, read_entry
from ..source import Row, Shard, SourceOptions

_NAME = "mimic-cxr"
_TEXTS, _STUDIES = 1000, 100  # studies of a shard, without and with images
_SUFFIXES = (".jpg", ".png", ".dcm")
_ABOUT_VIEWS = re.compile(r"(?i)\bviews?\b|\bradiographs?\b")
_ABOUT_OTHERS = re.compile(r"(?i)\bcompar|\bprior\b|\bprevious|\bearlier\b")


def shards(path: Path, options: SourceOptions) -> Iterator[Shard]:
    """What there is, in parts.

    Raises:
        InputError: there is nothing at `path`, no report can be found, or a table lacks a column.
    """
    where = places(path, options.images)
    held: list[Planned | tuple[str, Refusal]] = []
    for one in plan(where, with_images=not options.text_only):
        held.append(one)
        if len(held) == (_TEXTS if options.text_only else _STUDIES):
            yield where, tuple(held)
            held.clear()
    if held:
        yield where, tuple(held)


def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]:
    """The studies of one part."""
    where, planned = shard
    with ExitStack() as stack:
        archive = stack.enter_context(where.archive.open("rb")) if where.archive else None
        for one in planned:
            if not isinstance(one, Planned):
                yield rejected(_NAME, *one)
                continue
            text = _text(one, where, archive)
            if isinstance(text, Refusal):
                name = f"p{one.subject}/s{one.study}" if one.subject else one.study
                yield rejected(_NAME, name, text)
            else:
                yield from _study(one, text, where, options)


def _text(one: Planned, where: Places, archive: BinaryIO | None) -> str | Refusal:
    if isinstance(one.report, Refusal):
        return one.report
    if isinstance(one.report, ZipEntry):
        assert archive is not None  # entries come from it
        data = read_entry(archive, one.report)
    else:
        file, root = next(
            ((root / one.report, root) for root in where.roots if (root / one.report).exists()),
            (where.roots[0] / one.report, where.roots[0]),
        )
        place = locate(file, root)
        if isinstance(place, Refusal):
            return Refusal("no_report", place.detail) if place.reason == "missing_file" else place
        data = read_limited(place, MAX_REPORT_BYTES, "long_report")
    if isinstance(data, Refusal):
        return Refusal("long_report", data.detail) if data.reason == "large_file" else data
    return decode(data)


def _study(one: Planned, text: str, where: Places, options: SourceOptions) -> Iterator[Row]:
    by_hand = override(f"s{one.study}", text)
    for row in assemble(_draft(one, text, by_hand, where, options), options, options.form or "four-header"):
        if by_hand is not None and isinstance(row, RejectedRow):
            yield row.model_copy(update={"detail": f"{row.detail} (sectioned by hand: {by_hand.rule})"})
        else:
            yield row


def _draft(one: Planned, text: str, by_hand: Override | None, where: Places, options: SourceOptions) -> Draft:
    found = sections_of(text)
    marks: list[str] = []
    warnings = list(one.warnings)
    if by_hand is not None:
        if by_hand.conclusion is None:
            found.pop("findings", None)
        found["impression"] = by_hand.conclusion or ""
        marks.append("impression=by hand")
        warnings.append(("sections_by_hand", by_hand.rule))
    elif options.missing_findings == "allow" and not found.get("findings") and found.get("last_paragraph"):
        found["findings"] = found["last_paragraph"]
        marks.append("findings=last_paragraph")
    for name in ("history", "indication"):
        if (plain := found.get(name)) and (changed := without_age_and_sex(plain)) != plain:
            found[name] = changed
            marks.append(f"{name}=without age and sex")
    root, images = _images(one, where, options)
    return Draft(
        source=_NAME,
        native_id=f"s{one.study}",
        where=f"p{one.subject}/s{one.study}",
        text=text,
        data_class="restricted",
        root=root,
        images=images,
        views=_inventory(images),
        sections=Sections(**{name: body for name in Sections.model_fields if (body := found.get(name))}),
        patient_id=f"{_NAME}/p{one.subject}",
        split=one.split,
        labels=one.labels,
        steps=False,
        view_text=_view_words(text, found),
        marks=tuple(marks),
        warnings=tuple(warnings),
    )


def _view_words(text: str, found: dict[str, str]) -> str:
    """What names the views: headers, examination, technique; else how the findings open, if that is about views."""
    words = " ".join([*headers_of(text), *(found.get(name, "") for name in ("examination", "technique", "preamble"))])
    opening = found.get("findings", "").partition(".")[0]
    if views_in(words) or not _ABOUT_VIEWS.search(opening) or _ABOUT_OTHERS.search(opening):
        return words
    return f"{words} {opening}"


def _inventory(images: tuple[ImageFile, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(image.view for image in images if image.view != "unknown"))


def _images(one: Planned, where: Places, options: SourceOptions) -> tuple[Path, tuple[ImageFile, ...]]:
    if options.text_only:
        return where.roots[0], tuple(ImageFile(Path(dicom), view) for dicom, view in one.images or ())
    inside = Path(f"p{one.subject[:2]}", f"p{one.subject}", f"s{one.study}")
    folders = [(root, root / base / inside) for root in reversed(where.roots) for base in ("files", "")]
    root, folder = next(((root, folder) for root, folder in folders if folder.is_dir()), folders[0])
    if one.images is None:
        files = sorted(file for file in folder.glob("*") if file.suffix.lower() in _SUFFIXES)
        best = {
            file.stem: file for file in sorted(files, key=lambda f: _SUFFIXES.index(f.suffix.lower()), reverse=True)
        }
        return root, tuple(ImageFile(best[stem]) for stem in sorted(best))
    return root, tuple(ImageFile(_present(folder, dicom), view) for dicom, view in one.images)


def _present(folder: Path, dicom: str) -> Path:
    every = [folder / f"{dicom}{suffix}" for suffix in _SUFFIXES]
    return next((file for file in every if file.exists()), every[0])
