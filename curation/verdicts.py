"""Verdicts: what becomes of a teacher's answer: a candidate, judged by every rule.

Pure; verdict_pool.py lets other processes do the same.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.errors import LayoutError
from ..schemas.layout import parse
from ..schemas.study import Study
from ..schemas.trace import Trace
from ..schemas.verdict import Doubts, Verdict, Weight
from ..validators.gate import judge
from .doubts import decided
from .template_trace import kept, packed, sketches
from .verifying.answer import rules_alone

if TYPE_CHECKING:
    from .requests.asker import Answer  # with all that sends requests, which a process that judges does not need


class Opinion(NamedTuple):
    """A candidate and its verdict; sketches of its steps and reference, as a journal keeps them."""

    candidate: Candidate
    verdict: Verdict
    sketches: bytes | None  # none where no rule needs them
    is_compared: bool = False  # with the traces before it, where the process that judges compares as well
    twin: str | None = None  # the study of one that says the same


def judge_answer(
    answer: "Answer", severities: Mapping[str, Weight] = {}, doubts: Doubts = "hold", own: Sequence[str] = ()
) -> Opinion:
    """The candidate that an answer is, what the rules (and the recipe's own) find in it, and its word on doubts."""
    return judge_candidate(answer.question.study, candidate_of(answer), severities, doubts, own)


def judge_candidate(
    study: Study,
    unread: Candidate,
    severities: Mapping[str, Weight] = {},
    doubts: Doubts = "hold",
    own: Sequence[str] = (),
) -> Opinion:
    """The same, of a candidate whose text was not parsed yet; a text that cannot be is one with a `parse_error`."""
    trace: Trace | None = None
    problem: str | None = None
    try:
        trace = parse(unread.text)
    except LayoutError as error:
        problem = str(error)
    candidate = unread.model_copy(update={"trace": trace, "parse_error": problem})
    return opinion_of(study, candidate, decided(judge(study, candidate, severities, own), doubts))


def opinion_of(study: Study, candidate: Candidate, verdict: Verdict, earlier: bytes | None = None) -> Opinion:
    """The same, of a verdict that is there already; sketches that were packed earlier are not made again."""
    if candidate.trace is None or rules_alone(verdict).outcome == "reject":
        return Opinion(candidate, verdict, None)
    steps, report = candidate.trace.texts, study.report
    if kept(earlier, steps, report) is None:
        earlier = packed(sketches(steps, report), steps, report)
    return Opinion(candidate, verdict, earlier)


def candidate_of(answer: "Answer") -> Candidate:
    """What an answer is, not parsed yet."""
    teacher, question, reply = answer.teacher, answer.question, answer.reply
    return Candidate(
        key=answer.key,
        study_id=question.study.id,
        author="teacher",
        teacher=teacher.name,
        model=teacher.model,
        attempt=question.attempt,
        parent=question.previous.key if question.previous else None,
        sample=question.sample,
        prompt_id=question.prompt.id,
        prompt_sha256=question.prompt.sha256,
        saw_image=teacher.sees_images and bool(question.study.images),
        writes_report=question.prompt.writes_report,
        text=reply.text,
        reasoning=reply.reasoning,
        usage=reply.usage,
        cost_usd=answer.cost_usd,
        stop_reason=reply.stop_reason,
        label=reply.label,
        started_at=answer.started_at,
        seconds=answer.seconds,
    )
