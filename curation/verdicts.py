"""Verdicts: what becomes of a teacher's answer: a candidate, judged by every rule."""

from collections.abc import Mapping, Sequence

from ..data.judged import Judged
from ..schemas.candidate import Candidate
from ..schemas.errors import LayoutError
from ..schemas.layout import parse
from ..schemas.trace import Trace
from ..schemas.verdict import Doubts, Weight
from ..validators.gate import judge
from .doubts import decided
from .requests.asker import Answer


def judge_answer(
    answer: Answer, severities: Mapping[str, Weight] = {}, doubts: Doubts = "hold", own: Sequence[str] = ()
) -> Judged:
    """The candidate that an answer is, what the rules (and the recipe's own) find in it, and its word on doubts."""
    candidate = candidate_of(answer)
    return Judged(candidate, decided(judge(answer.question.study, candidate, severities, own), doubts))


def candidate_of(answer: Answer) -> Candidate:
    """What an answer's text is, taken apart; a text that cannot be is one with a `parse_error`."""
    teacher, question, reply = answer.teacher, answer.question, answer.reply
    trace: Trace | None = None
    problem: str | None = None
    try:
        trace = parse(reply.text)
    except LayoutError as error:
        problem = str(error)
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
        trace=trace,
        parse_error=problem,
        usage=reply.usage,
        cost_usd=answer.cost_usd,
        stop_reason=reply.stop_reason,
        label=reply.label,
        started_at=answer.started_at,
        seconds=answer.seconds,
    )
