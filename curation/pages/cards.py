"""One study of the review page: films and reference on one side, attempts with their findings on the other.

Returns HTML; every text of the data goes through `marked`. What the page looks like is in pages/review.css.
"""

import html
from collections.abc import Callable, Sequence
from pathlib import Path

from ...schemas.candidate import Candidate
from ...schemas.errors import InputError
from ...schemas.study import ImageRef, Study
from ...schemas.trace import Trace
from ...schemas.verdict import Finding, Outcome, Verdict
from .film import data_uri
from .marked import SEVERITIES, Mark, differences, excerpt, marked, shown

Judged = tuple[Candidate, Verdict]
PathOf = Callable[[ImageRef], Path]
FOREIGN = "foreign"  # the source of a study that stands for somebody's text, of whose author nothing is known
_STEPS = 40  # of one attempt that are shown
_FINDINGS = 60
_STEP = 2_000  # characters
_LABELS = {
    "accepted": "Accepted",
    "repaired": "Accepted after repair",
    "doubted": "In doubt",
    "rejected": "Rejected",
    "open": "Not judged",
}
_STATUS: dict[Outcome, str] = {"accept": "accepted", "doubt": "doubted", "reject": "rejected"}


def status_of(attempts: Sequence[Judged]) -> str:
    """accepted, repaired (accepted, at a later attempt), doubted, rejected, or open (nothing was judged)."""
    if not attempts:
        return "open"
    first = next((candidate for candidate, verdict in attempts if verdict.accepted), None)
    if first is None:
        return "doubted" if any(verdict.outcome == "doubt" for _, verdict in attempts) else "rejected"
    return "repaired" if first.attempt > 1 else "accepted"


def author_of(candidate: Candidate) -> str:
    """Who wrote it, as the page names them."""
    return f"{candidate.author} {candidate.teacher}"


def card(number: int, study: Study, attempts: Sequence[Judged], path_of: PathOf, *, author: str | None = None) -> str:
    """One study.

    Args:
        number: its place on the page, from 1.
        study: with its reference.
        attempts: in the order they were made.
        path_of: finds an image's file.
        author: what the page's filter calls whoever wrote it; the authors' own names if not given.
    """
    status = status_of(attempts)
    codes = dict.fromkeys(finding.code for _, verdict in attempts for finding in verdict.findings)
    authors = dict.fromkeys([author] if author else [author_of(candidate) for candidate, _ in attempts])
    numbers = {candidate.key: at for at, (candidate, _) in enumerate(attempts, 1)}
    by_key = {candidate.key: candidate for candidate, _ in attempts}
    sections = [
        _attempt(at, study, candidate, verdict, by_key.get(candidate.parent or ""), numbers.get(candidate.parent or ""))
        for at, (candidate, verdict) in enumerate(attempts, 1)
    ] or ['<p class="quiet">Nothing that was written for this study has been judged.</p>']
    return f"""
<article id="s{number}" tabindex="-1" aria-labelledby="h{number}" data-status="{status}"
 data-codes="{_attribute(codes)}" data-authors="{_attribute(authors)}">
<header><h2 id="h{number}"><span class="text">{shown(study.id, 200)}</span></h2>
<span class="chip {status}">{_LABELS[status]}</span><span class="quiet">{_about(study)}</span></header>
<div class="sides"><div class="reference"><div class="stay">{_films(study, path_of)}
<h3>Reference report</h3><div class="text report">{_reference(study.report, attempts)}</div></div></div>
<div class="attempts">{"".join(sections)}</div></div></article>"""


def _reference(report: str, attempts: Sequence[Judged]) -> str:
    """The reference with the sentences marked that findings point to; of a single attempt, numbered as they are."""
    marks = []
    for _, verdict in attempts:
        for number, finding in enumerate(verdict.findings[:_FINDINGS], 1):
            at = report.find(finding.evidence) if finding.evidence else -1
            if at >= 0:
                end = at + len(finding.evidence or "")
                marks.append(Mark(at, end, finding.severity, number if len(attempts) == 1 else 0))
    return marked(report, marks)


def _attribute(values: dict[str, None]) -> str:
    return html.escape("|" + "".join(f"{value}|" for value in values)) if values else ""


def _about(study: Study) -> str:
    facts = [", ".join(study.views), f"split {study.split}" if study.split else ""]
    facts += ["restricted data"] if study.data_class == "restricted" else []
    return " · ".join(shown(fact, 120) for fact in facts if fact)


def _films(study: Study, path_of: PathOf) -> str:
    if not study.images and study.source == FOREIGN:
        return ""
    if not study.images:
        return '<p class="quiet no-film">Text only: this study came without images.</p>'
    return "".join(_film(ref, path_of) for ref in study.images)


def _film(ref: ImageRef, path_of: PathOf) -> str:
    view = shown(ref.view, 60)
    try:
        source = data_uri(path_of(ref))
    except InputError as error:
        return f'<p class="quiet no-film">Film, view {view}: {shown(error.message, 300)}</p>'
    label = "Radiograph" if ref.view == "unknown" else f"Radiograph, {html.escape(ref.view[:60])}"
    known = "" if ref.view == "unknown" else f"View {view}, "
    size = f"{ref.width} × {ref.height} pixels at the source"
    return (
        f'<figure><img src="{source}" width="{ref.width}" height="{ref.height}" alt="{label}" loading="lazy" '
        f'decoding="async"><figcaption>{known}{size}</figcaption></figure>'
    )


def _attempt(
    at: int, study: Study, candidate: Candidate, verdict: Verdict, parent: Candidate | None, repairs: int | None
) -> str:
    status = _STATUS[verdict.outcome]
    why = "" if verdict.accepted else ": " + ", ".join(shown(code, 60) for code in verdict.codes)
    lineage = f", repairs {repairs}" if repairs else ", repairs one that is not shown" if candidate.parent else ""
    title = "Trace" if study.source == FOREIGN else f"Attempt {at}{lineage}"
    provenance = "" if study.source == FOREIGN else f'<p class="quiet">{_provenance(candidate)}</p>'
    label = f'<p class="label">Labelled by its author: {shown(candidate.label, 200)}</p>' if candidate.label else ""
    findings = list(enumerate(verdict.findings[:_FINDINGS], 1))
    placed = len(candidate.trace.steps) if candidate.trace else 0
    whole = [(n, f) for n, f in findings if f.step is None or not 1 <= f.step <= min(placed, _STEPS)]
    more = len(verdict.findings) - len(findings)
    return f"""
<details class="attempt" open><summary><span>{title}</span>
<span class="chip {status}">{_LABELS[status]}{why}</span></summary>
{provenance}{label}{_resolved(verdict)}
{_list(whole, candidate.text)}{f'<p class="quiet">and {more} more findings</p>' if more else ""}
{_body(study, candidate, findings, parent)}</details>"""


def _resolved(verdict: Verdict) -> str:
    if verdict.resolution is None:
        return ""
    found = verdict.resolution
    name = f" {shown(found.name, 80)}" if found.name else ""
    note = f": {shown(found.note, 400)}" if found.note else ""
    return f'<p class="label">Resolved by {found.by}{name}, {_STATUS[found.outcome]}{note}</p>'


def _provenance(candidate: Candidate) -> str:
    cost = "cost unknown" if candidate.cost_usd is None else f"{candidate.cost_usd:.4g} USD"
    facts = (
        f"{author_of(candidate)}, model {candidate.model}",
        f"prompt {candidate.prompt_id}",
        "saw the image" if candidate.saw_image else "did not see the image",
        f"sample {candidate.sample + 1}" if candidate.sample else "",
        f"stopped: {candidate.stop_reason}" if candidate.stop_reason else "",
        f"{candidate.seconds:.2g} s",
        cost,
    )
    return " · ".join(shown(fact, 200) for fact in facts if fact)


def _body(study: Study, candidate: Candidate, findings: Sequence[tuple[int, Finding]], parent: Candidate | None) -> str:
    reasoning = _thinking(candidate.reasoning)
    if candidate.trace is None:
        said = f"<p>No steps could be read: {shown(candidate.parse_error or 'no reason given', 400)}</p>"
        marks = [Mark(*f.span, f.severity, n) for n, f in findings if f.span and f.step is None]
        return f'{said}<h4>The answer</h4><div class="text raw">{marked(candidate.text, marks)}</div>{reasoning}'
    trace = candidate.trace
    before = parent.trace.texts if parent and parent.trace else None
    steps = [_step(at, trace, findings, before) for at in range(1, min(len(trace.steps), _STEPS) + 1)]
    more = len(trace.steps) - len(steps)
    return "".join(
        (
            _stray("Before the steps", trace.preamble),
            f'<ol class="steps">{"".join(steps)}</ol>',
            f'<p class="quiet">and {more:,} more steps</p>' if more else "",
            _stray("Between the steps and the report", trace.between),
            _report(study, candidate),
            _stray("After the report", trace.trailer),
            reasoning,
        )
    )


def _thinking(text: str | None) -> str:
    if not text:
        return ""
    return (
        f'<details><summary>Its own thinking, never used</summary><div class="text raw">{shown(text)}</div></details>'
    )


def _step(at: int, trace: Trace, findings: Sequence[tuple[int, Finding]], before: tuple[str, ...] | None) -> str:
    step = trace.steps[at - 1]
    mine = [(n, f) for n, f in findings if f.step == at]
    marks = [Mark(*f.span, f.severity, n) for n, f in mine if f.span]
    severity = min((f.severity for _, f in mine), key=SEVERITIES.index, default="")
    changed = before is not None and (at > len(before) or before[at - 1] != step.text)
    tag = ' <span class="changed">changed</span>' if changed else ""
    return (
        f'<li value="{step.number}" class="{severity}"><div class="line"><div><span class="text">'
        f"{marked(step.text, marks, _STEP)}</span>{tag}</div>{_list(mine, step.text, quote=False)}</div></li>"
    )


def _list(findings: Sequence[tuple[int, Finding]], text: str, *, quote: bool = True) -> str:
    """Findings with their evidence; `quote` shows the place in the text, where it is not shown above."""
    if not findings:
        return ""
    items = []
    for number, finding in findings:
        where = (
            f'<div class="text excerpt">{excerpt(text, Mark(*finding.span, finding.severity, number))}</div>'
            if quote and finding.span and finding.step is None
            else ""
        )
        evidence = (
            f'<div class="evidence">Reference: <q class="text">{shown(finding.evidence, 600)}</q></div>'
            if finding.evidence
            else ""
        )
        name = f"{number}. {finding.severity.capitalize()}: {shown(finding.code, 80)}"
        items.append(
            f'<li class="{finding.severity}"><b>{name}</b> '
            f'<span class="text">{shown(finding.message, 800)}</span>{where}{evidence}</li>'
        )
    return f'<ul class="findings">{"".join(items)}</ul>'


def _stray(title: str, text: str) -> str:
    return f'<h4>{title}</h4><div class="text raw">{shown(text, 2_000)}</div>' if text else ""


def _report(study: Study, candidate: Candidate) -> str:
    assert candidate.trace is not None
    report = candidate.trace.report
    if report is None:
        said = "none was written" if candidate.writes_report else "the reference follows the steps as it is"
        return f'<p class="quiet">Report: {said}.</p>'
    if report == study.report:
        return '<p class="quiet">Report: the same as the reference, byte for byte.</p>'
    if not candidate.writes_report:
        return _stray("Report, which nobody asked for", report)
    compared = differences(study.report, report)
    key = (
        ""
        if compared is None
        else '<p class="quiet"><ins>underlined</ins>: only here; <del>struck</del>: only there</p>'
    )
    body = shown(report) if compared is None else compared
    return f'<h4>Report as written, against the reference</h4>{key}<div class="text report">{body}</div>'
