"""From what a source found to a Study: the one place where it is decided whether there is one.

A study needs a reference in the chosen form and, unless `text_only`, every image it names, decoded. Steps
that stand before a report are taken off it and kept as a SourceTrace; the report alone is the reference. What a
study has that is not the source's own is listed in its Marks.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from ...schemas.base import Status
from ...schemas.study import DataClass, ImageRef, RejectedRow, ReportForm, Sections, Study
from ..ids import is_missing
from ..source import Marks, Row, SourceOptions, SourceTrace, SourceWarning
from .images import ImageFile, admit_all
from .marks import refuse_marked
from .one_image import fewer, one_image
from .reports import (
    UNKNOWN_VIEW,
    Refusal,
    SplitText,
    find_sections,
    reference,
    split_steps,
    usable,
    view_words,
    views_in,
    without_empty,
)
from .stated_views import stated_views

MAX_ID = 200


class Draft(NamedTuple):
    """One examination as a source found it."""

    source: str
    native_id: str
    where: str  # for people: file and row
    text: str  # steps perhaps, then the report
    data_class: DataClass
    root: Path  # images lie under it, or are refused
    images: tuple[ImageFile, ...] = ()
    views: tuple[str, ...] = ()
    report: str | None = None  # the reference, if the source keeps it separate from `text`
    sections: Sections | None = None  # found in the report if the source has none
    patient_id: str | None = None  # the study's id if the source has none
    split: str | None = None
    labels: dict[str, Status] = {}  # noqa: RUF012  never written to
    has_prior: bool = False
    steps: bool = True  # there may be steps before the report
    view_text: str | None = None  # words of the report that name its views; if none, what `view_words` finds
    marks: tuple[str, ...] = ()  # what the source itself changed or made up
    warnings: tuple[tuple[str, str], ...] = ()
    fields: Collection[str] = ()  # names of the columns or keys of the row it is from

    @property
    def id(self) -> str:
        """The study's id."""
        return f"{self.source}/{self.native_id}"


class _Parts(NamedTuple):
    study: Study
    marks: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]
    trace: str | None


def assemble(draft: Draft, options: SourceOptions, form: ReportForm) -> Iterator[Row]:
    """The study with its marks, warnings and trace, or the rejected row."""
    parts = _parts(draft, options, form)
    if isinstance(parts, Refusal):
        yield rejected(draft.source, draft.where, parts)
        return
    study = parts.study
    yield study
    if parts.marks:
        yield Marks(study.id, parts.marks)
    for code, detail in parts.warnings:
        yield SourceWarning(study_id=study.id, code=code, detail=detail)
    if parts.trace is not None:
        yield SourceTrace(
            id=study.id,
            text=parts.trace,
            reference_report=study.report,
            views=study.views,
            has_prior=study.has_prior,
        )


def rejected(source: str, where: str, refusal: Refusal) -> RejectedRow:
    """A refusal as the row that is written out."""
    return RejectedRow(source=source, row=where, reason=refusal.reason, detail=refusal.detail)


def _parts(draft: Draft, options: SourceOptions, form: ReportForm) -> _Parts | Refusal:
    whole = draft.text.removeprefix("\ufeff")  # a mark of the file that a cell was pasted from
    if refusal := _bad_id(draft.native_id) or usable(whole):
        return refusal
    split = split_steps(whole) if draft.steps else SplitText(whole, False)
    report = split.report if draft.report is None else draft.report.removeprefix("\ufeff")
    if report is not whole and (refusal := usable(report)):
        return refusal
    sections = without_empty(draft.sections) if draft.sections else find_sections(report)
    words = view_words(report) if draft.view_text is None else draft.view_text
    reported = views_in(words) or stated_views(report, sections)
    pictures = _pictures(draft, words, reported, options)
    if isinstance(pictures, Refusal):
        return pictures
    known = draft.views or pictures.shown
    views = known or reported
    allowed = [
        name
        for name, policy in (("findings", options.missing_findings), ("impression", options.missing_impression))
        if policy == "allow"
    ]
    text = reference(report, sections, views, form, allowed)
    if isinstance(text, Refusal):
        return text
    study = Study(
        id=draft.id,
        patient_id=draft.patient_id or draft.id,
        source=draft.source,
        data_class=draft.data_class,
        images=pictures.refs,
        views=views,
        report=text,
        report_form=form,
        sections=sections,
        split=draft.split,
        labels=draft.labels,
        has_prior=draft.has_prior,
    )
    if options.data_class == draft.data_class == "public" and not options.public_because:
        refuse_marked(study, (draft.where, draft.root.name, draft.root.parent.name), draft.fields)
    composed = text is not report
    marks = (*draft.marks, *(_derived(sections, known, views) if composed else ()), *pictures.marks)
    trace = None if draft.report is None and not split.has_steps else draft.text
    odd = (split.warning,) if split.warning and draft.report is None else ()
    return _Parts(study, marks, (*draft.warnings, *odd, *_left_out(draft, report), *pictures.warnings), trace)


def _left_out(draft: Draft, report: str) -> Iterator[tuple[str, str]]:
    """Sections whose only word is one for a missing value: they are none, and a verbatim report still shows them."""
    given = draft.sections or find_sections(report, empty=True)
    main = (("findings", given.findings), ("impression", given.impression))
    words = [f"{name} is {body.strip()!r}" for name, body in main if body and len(body) < 20 and is_missing(body)]
    if words:
        yield "empty_section", f"{', '.join(words)}: taken as empty"


class _Pictures(NamedTuple):
    refs: tuple[ImageRef, ...]
    shown: tuple[str, ...]  # the views of all the study's images
    marks: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...]


def _pictures(draft: Draft, words: str, reported: tuple[str, ...], options: SourceOptions) -> _Pictures | Refusal:
    if options.text_only:
        return _Pictures((), (), (), ())
    admitted = admit_all(draft.images, draft.root, options.converted, options.longest_side)
    if isinstance(admitted, Refusal):
        return admitted
    refs, warnings = admitted
    if lacking := fewer(reported or draft.views, words, [ref.view for ref in refs]):
        if options.fewer_views == "reject":
            return Refusal("fewer_views", lacking)
        warnings = (*warnings, ("fewer_views", lacking))
    shown = _known(refs)
    marks = () if options.longest_side is None else (f"image=at most {options.longest_side} pixels",)
    if options.one_image is None:
        return _Pictures(refs, shown, marks, warnings)
    store = options.converted.parent if options.converted else Path()
    one = one_image(refs, options.one_image, lambda ref: (store / ref.path).resolve(), options.converted)
    if one is None:
        return _Pictures(refs, shown, marks, warnings)
    return _Pictures((one.ref,), shown, (*marks, one.mark), (*warnings, *one.warnings))


def _derived(sections: Sections, known: tuple[str, ...], views: tuple[str, ...]) -> Iterator[str]:
    """The parts of a composed reference that the source does not have under that name, and where they are from."""
    if not sections.technique:
        yield "technique"
    if not sections.view:
        yield "view=metadata" if known else "view=text" if views else "view=unknown"
    yield from (f"{name}=not reported" for name in ("findings", "impression") if not getattr(sections, name))


def _bad_id(native_id: str) -> Refusal | None:
    if not native_id.strip() or len(native_id) > MAX_ID or not native_id.isprintable():
        return Refusal("bad_id", f"{native_id[:60]!a} cannot name a study: 1 to {MAX_ID} printable characters")
    return None


def _known(refs: tuple[ImageRef, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ref.view for ref in refs if ref.view != UNKNOWN_VIEW))
