"""What one candidate looks like to a reader: plain values for the templates, every text of the data made inert.

Texts that came from data pass through pages/marked.py, whose result is the only markup a template takes as it is.
"""

import inspect
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from markupsafe import Markup

from ...data.judged import Judged
from ...schemas.reading import Reading
from ...schemas.study import Study
from ...schemas.verdict import Finding
from ...validators import gate
from ..pages.marked import Mark, differences, marked, shown

_STEPS = 40
_FINDINGS = 60
_ORDER = {"error": 0, "doubt": 1, "warning": 2}


def safe(text: str, cut: int = 6_000) -> Markup:
    """A text of the data as inert HTML."""
    return Markup(shown(text, cut))  # noqa: S704 `shown` escapes


@cache
def explained(code: str) -> str:
    """What the rule of a code protects against: the first paragraph of its file's docstring."""
    code = gate.ALIASES.get(code, code)
    rule = next((rule for rule in gate.RULES if code in rule.CODES), None)
    text = inspect.getdoc(sys.modules[rule.__name__]) if rule else None
    return " ".join((text or "A code of another version of the rules.").split("\n\n")[0].split())


def code_names() -> list[str]:
    """Every code that a reader may name."""
    return sorted(code for rule in gate.RULES for code in rule.CODES)


def item(study: Study, judged: Judged, *, findings: bool, own: Reading | None) -> dict[str, Any]:
    """One candidate for the template.

    Args:
        study: with its reference.
        judged: the candidate and its verdict.
        findings: whether the rules' findings are shown.
        own: the reader's current reading, if there is one.
    """
    candidate, verdict = judged
    numbered = list(enumerate(verdict.findings[:_FINDINGS], 1)) if findings else []
    trace = candidate.trace
    texts = trace.texts if trace else ()
    own_steps = {step.step: step for step in own.steps} if own else {}
    steps = []
    for position, text in enumerate(texts[:_STEPS], 1):
        mine = [(n, f) for n, f in numbered if f.step == position]
        kept = own_steps.get(position)
        marks = [Mark(*f.span, f.severity, n) for n, f in mine if f.span]
        steps.append(
            {
                "position": position,
                "text": text,
                "html": Markup(marked(text, marks, 4_000)),  # noqa: S704 `marked` escapes
                "severity": min((f.severity for _, f in mine), key=_ORDER.__getitem__, default=""),
                "findings": [finding(n, f) for n, f in mine],
                "mark": kept.mark if kept else None,
                "rewritten": kept.text if kept else None,
                "diff": Markup(differences(text, kept.text) or "") if kept and kept.text else None,  # noqa: S704 as above
            }
        )
    whole = [(n, f) for n, f in numbered if f.step is None or not 1 <= f.step <= len(texts)]
    return {
        "key": candidate.key,
        "study_id": safe(study.id, 200),
        "films": [{"view": ref.view, "width": ref.width, "height": ref.height} for ref in study.images],
        "report": _reference(study.report, numbered),
        "steps": steps,
        "raw": None if trace else safe(candidate.text),
        "parse_error": candidate.parse_error,
        "whole": [finding(n, f) for n, f in whole],
        "codes": list(dict.fromkeys(f.code for f in verdict.findings)) if findings else [],
        "outcome": verdict.outcome if findings else None,
        "written_report": _written(study, judged),
        "own": own,
    }


def finding(number: int, found: Finding) -> dict[str, Any]:
    """One finding for the template."""
    return {
        "number": number,
        "severity": found.severity,
        "code": found.code,
        "explained": explained(found.code),
        "message": safe(found.message, 800),
        "evidence": safe(found.evidence, 600) if found.evidence else None,
    }


def one_side(name: str, study: Study, judged: Judged | None) -> dict[str, Any]:
    """One of two candidates, without anything that says whose it is."""
    trace = judged.candidate.trace if judged else None
    return {
        "name": name,
        "steps": trace.texts[:_STEPS] if trace else (),
        "report": _written(study, judged) if judged else None,
    }


def _reference(report: str, findings: Sequence[tuple[int, Finding]]) -> Markup:
    marks = []
    for number, found in findings:
        at = report.find(found.evidence) if found.evidence else -1
        if found.evidence and at >= 0:
            marks.append(Mark(at, at + len(found.evidence), found.severity, number))
    return Markup(marked(report, marks))  # noqa: S704 `marked` escapes


def _written(study: Study, judged: Judged) -> Markup | None:
    """A report that the author wrote and that is not the reference, with what differs."""
    trace = judged.candidate.trace
    if trace is None or trace.report is None or trace.report == study.report:
        return None
    return Markup(differences(study.report, trace.report) or shown(trace.report))  # noqa: S704 both escape
