"""From what a source found to a Study: the one place where it is decided whether there is one.

A study needs a reference in the chosen form and, unless `text_only`, every image it names, decoded. Steps
that stand before a report are taken off it and kept as a SourceTrace; the report alone is the reference.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..schemas.base import Status
from ..schemas.study import DataClass, ImageRef, RejectedRow, ReportForm, Sections, Study
from .images import admit_all
from .reports import UNKNOWN_VIEW, Refusal, find_sections, reference, split_steps, usable, views_in
from .source import Options, Row, SourceTrace, SourceWarning

MAX_ID = 200


class Draft(NamedTuple):
    """One examination as a source found it."""

    source: str
    native_id: str
    where: str  # for people: file and row
    text: str  # steps perhaps, then the report
    data_class: DataClass
    root: Path  # images lie under it, or are refused
    images: tuple[tuple[Path, str], ...] = ()  # files and views
    views: tuple[str, ...] = ()
    report: str | None = None  # the reference, if the source keeps it apart from `text`
    sections: Sections | None = None  # found in the report if the source has none
    patient_id: str | None = None  # the study's id if the source has none
    split: str | None = None
    labels: dict[str, Status] = {}  # noqa: RUF012  never written to
    has_prior: bool = False

    @property
    def id(self) -> str:
        """The study's id."""
        return f"{self.source}/{self.native_id}"


def assemble(draft: Draft, options: Options, form: ReportForm) -> Iterator[Row]:
    """The study with its warnings and trace, or the rejected row."""
    parts = _parts(draft, options, form)
    if isinstance(parts, Refusal):
        yield rejected(draft.source, draft.where, parts)
        return
    study, warnings, trace = parts
    yield study
    for code, detail in warnings:
        yield SourceWarning(study_id=study.id, code=code, detail=detail)
    if trace is not None:
        yield SourceTrace(
            id=study.id,
            text=trace,
            reference_report=study.report,
            views=study.views,
            has_prior=study.has_prior,
        )


def rejected(source: str, where: str, refusal: Refusal) -> RejectedRow:
    """A refusal as the row that is written out."""
    return RejectedRow(source=source, row=where, reason=refusal.reason, detail=refusal.detail)


def _parts(
    draft: Draft, options: Options, form: ReportForm
) -> tuple[Study, tuple[tuple[str, str], ...], str | None] | Refusal:
    if refusal := _bad_id(draft.native_id) or usable(draft.text):
        return refusal
    split = split_steps(draft.text)
    report = split.report if draft.report is None else draft.report
    sections = draft.sections or find_sections(report)
    refs: tuple[ImageRef, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    if not options.text_only:
        admitted = admit_all(draft.images, draft.root, options.converted)
        if isinstance(admitted, Refusal):
            return admitted
        refs, warnings = admitted
    views = draft.views or _known(refs) or views_in(sections.view or "")
    text = reference(report, sections, views, form)
    if isinstance(text, Refusal):
        return text
    study = Study(
        id=draft.id,
        patient_id=draft.patient_id or draft.id,
        source=draft.source,
        data_class=draft.data_class,
        images=refs,
        views=views,
        report=text,
        report_form=form,
        sections=sections,
        split=draft.split,
        labels=draft.labels,
        has_prior=draft.has_prior,
    )
    return study, warnings, None if draft.report is None and not split.has_steps else draft.text


def _bad_id(native_id: str) -> Refusal | None:
    if not native_id.strip() or len(native_id) > MAX_ID or not native_id.isprintable():
        return Refusal("bad_id", f"{native_id[:60]!a} cannot name a study: 1 to {MAX_ID} printable characters")
    return None


def _known(refs: tuple[ImageRef, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ref.view for ref in refs if ref.view != UNKNOWN_VIEW))
