"""One study of the review page: films and reference on one side, attempts with their findings on the other.

What stands where is in card.html, what it looks like in review.css; here is chosen what is shown, and how much.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from ...schemas.attribution import Attributed
from ...schemas.candidate import Candidate
from ...schemas.errors import InputError
from ...schemas.study import ImageRef, Study
from ...schemas.verdict import Finding, Outcome, Verdict
from .film import data_uri
from .marked import SEVERITIES, Mark, differences, excerpt, marked
from .templates import render

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
STATUS: dict[Outcome, str] = {"accept": "accepted", "doubt": "doubted", "reject": "rejected"}


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


class _Numbered(NamedTuple):
    """A finding as it is listed: its number in the attempt, and its place in the text where that is not shown above."""

    number: int
    finding: Finding
    excerpt: Markup | None = None


def card(
    number: int,
    study: Study,
    attempts: Sequence[Judged],
    path_of: PathOf,
    *,
    author: str | None = None,
    judged: Mapping[str, Sequence[str]] = {},
    attribution: Mapping[str, Attributed] = {},
) -> Markup:
    """One study.

    Args:
        number: its place on the page, from 1.
        study: with its reference.
        attempts: in the order they were made.
        path_of: finds an image's file.
        author: what the page's filter calls whoever wrote it; the authors' own names if not given.
        judged: what judges said of candidates, by their keys.
        attribution: how well a student knows them, by their keys.
    """
    known = {candidate.key: attribution[candidate.key] for candidate, _ in attempts if candidate.key in attribution}
    names = [author] if author else [author_of(candidate) for candidate, _ in attempts]
    numbers = {candidate.key: at for at, (candidate, _) in enumerate(attempts, 1)}
    by_key = {candidate.key: candidate for candidate, _ in attempts}
    facts = [", ".join(study.views), f"split {study.split}" if study.split else ""]
    facts += ["restricted data"] if study.data_class == "restricted" else []
    return render(
        "card.html",
        number=number,
        study=study,
        foreign=study.source == FOREIGN,
        status=status_of(attempts),
        rank=min((row.rank for row in known.values()), default=None),
        labels=_LABELS,
        codes=list(dict.fromkeys(finding.code for _, verdict in attempts for finding in verdict.findings)),
        authors=list(dict.fromkeys(names)),
        facts=[fact for fact in facts if fact],
        films=[_film(ref, path_of) for ref in study.images],
        reference=_reference(study.report, attempts),
        attempts=[
            _attempt(at, study, candidate, verdict, by_key.get(candidate.parent or ""), numbers)
            | {"judged": [*judged.get(candidate.key, ()), *_loss(known.get(candidate.key), len(attribution))]}
            for at, (candidate, verdict) in enumerate(attempts, 1)
        ],
    )


def _loss(row: Attributed | None, of: int) -> Iterator[str]:
    if row is not None:
        losses = f"{row.after:.3f} nats a token, its base's {row.before:.3f}"
        yield f"A student's loss: {losses}; rank {row.rank:,} of {of:,}"


def _reference(report: str, attempts: Sequence[Judged]) -> Markup:
    """The reference with the sentences marked that findings point to; of a single attempt, numbered as they are."""
    marks = []
    for _, verdict in attempts:
        for number, finding in enumerate(verdict.findings[:_FINDINGS], 1):
            at = report.find(finding.evidence) if finding.evidence else -1
            if at >= 0:
                end = at + len(finding.evidence or "")
                marks.append(Mark(at, end, finding.severity, number if len(attempts) == 1 else 0))
    return marked(report, marks)


def _film(ref: ImageRef, path_of: PathOf) -> dict[str, Any]:
    label = "Radiograph" if ref.view == "unknown" else f"Radiograph, {ref.view[:60]}"
    try:
        return {"ref": ref, "label": label, "source": data_uri(path_of(ref))}
    except InputError as error:
        return {"ref": ref, "source": None, "problem": error.message}


def _attempt(
    at: int,
    study: Study,
    candidate: Candidate,
    verdict: Verdict,
    parent: Candidate | None,
    numbers: Mapping[str, int],
) -> dict[str, Any]:
    """What card.html shows of one attempt."""
    repairs = numbers.get(candidate.parent or "")
    lineage = f", repairs {repairs}" if repairs else ", repairs one that is not shown" if candidate.parent else ""
    findings = list(enumerate(verdict.findings[:_FINDINGS], 1))
    trace = candidate.trace
    placed = min(len(trace.steps), _STEPS) if trace else 0
    whole = [
        _Numbered(n, f, excerpt(candidate.text, Mark(*f.span, f.severity, n)) if f.span and f.step is None else None)
        for n, f in findings
        if f.step is None or not 1 <= f.step <= placed
    ]
    before = parent.trace.texts if parent and parent.trace else None
    differs = trace is not None and candidate.writes_report and trace.report not in (None, study.report)
    answer = [Mark(*f.span, f.severity, n) for n, f in findings if f.span and f.step is None]
    settled = verdict.resolution
    return {
        "candidate": candidate,
        "title": "Trace" if study.source == FOREIGN else f"Attempt {at}{lineage}",
        "status": STATUS[verdict.outcome],
        "codes": verdict.codes,
        "resolution": settled,
        "resolved": settled and STATUS[settled.outcome],
        "provenance": _provenance(candidate),
        "whole": whole,
        "more_findings": len(verdict.findings) - len(findings),
        "answer": marked(candidate.text, answer) if trace is None else None,
        "steps": [_step(place, candidate, findings, before) for place in range(1, placed + 1)],
        "more_steps": len(trace.steps) - placed if trace else 0,
        "compared": differences(study.report, trace.report or "") if differs and trace else None,
    }


def _provenance(candidate: Candidate) -> list[str]:
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
    return [fact for fact in facts if fact]


def _step(
    place: int, candidate: Candidate, findings: Sequence[tuple[int, Finding]], before: tuple[str, ...] | None
) -> dict[str, Any]:
    """A step by its place from 1, with the findings about it; whether it differs from the step that it repairs."""
    assert candidate.trace is not None
    step = candidate.trace.steps[place - 1]
    mine = [_Numbered(n, f) for n, f in findings if f.step == place]
    return {
        "number": step.number,
        "text": marked(step.text, [Mark(*f.span, f.severity, n) for n, f, _ in mine if f.span], _STEP),
        "severity": min((f.severity for _, f, _ in mine), key=SEVERITIES.index, default=""),
        "changed": before is not None and (place > len(before) or before[place - 1] != step.text),
        "findings": mine,
    }
