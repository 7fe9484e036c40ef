"""A student's answers: taken apart as what was requested, and judged by the rules that judge teachers.

A report alone, where no steps were requested, is judged without the rules about steps.
"""

from collections.abc import Iterable
from typing import Literal

from ..schemas.candidate import Candidate
from ..schemas.errors import LayoutError
from ..schemas.layout import parse
from ..schemas.study import Study
from ..schemas.trace import Trace
from ..schemas.verdict import Verdict
from . import gate, headers, wrapping

STEPS_FORM = gate.codes_of("structure")
_FORM = gate.codes_of("completion", "structure") - wrapping.CODES.keys() | headers.CODES.keys()
_OFF: Literal["error", "warning", "off"] = "off"


def judge_sample(study: Study, unread: Candidate, *, steps: bool) -> tuple[Candidate, Verdict]:
    """Read an answer and judge it.

    Args:
        study: that it is about.
        unread: with the answer's text, not taken apart yet.
        steps: whether ten steps were requested in front of the report.
    """
    trace: Trace | None = None
    problem: str | None = None
    try:
        trace = parse(unread.text) if steps else Trace(report=unread.text)
    except LayoutError as error:
        problem = str(error)
    candidate = unread.model_copy(update={"trace": trace, "parse_error": problem})
    return candidate, gate.judge(study, candidate, {} if steps else dict.fromkeys(STEPS_FORM, _OFF))


def well_formed(verdict: Verdict) -> bool:
    """Complete, with exactly ten steps and the four headers, whatever they say; for a report alone the headers."""
    return _FORM.isdisjoint(verdict.codes)


def counts_of(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """What a sampling run's manifest counts of its answers: `well_formed` and `accepted_answers`."""
    counts = {"well_formed": 0, "accepted_answers": 0}
    for verdict in verdicts:
        counts["well_formed"] += well_formed(verdict)
        counts["accepted_answers"] += verdict.accepted
    return counts
