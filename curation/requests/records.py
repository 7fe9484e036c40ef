"""Records: what the journal is told of a question, and the candidate that becomes of an answer."""

import time
from collections.abc import Mapping

from ...schemas.candidate import Candidate
from ...schemas.errors import LayoutError
from ...schemas.layout import parse
from ...schemas.run import Event, State
from ...schemas.trace import Trace
from ..teacher import Question, Reply, Teacher


def event(key: str, state: State, question: Question, body: Mapping[str, object], raw: bytes | None = None) -> Event:
    """An event of a question, now."""
    return Event(key=key, state=state, study_id=question.study.id, at=time.time(), body=dict(body), raw=raw)


def plan(key: str, teacher: Teacher, question: Question) -> Event:
    """The first event of a question: its parts, but for texts and images."""
    body = {
        "teacher": teacher.name,
        "identity": dict(teacher.identity()),
        "prompt_id": question.prompt.id,
        "prompt_sha256": question.prompt.sha256,
        "attempt": question.attempt,
        "sample": question.sample,
        "parent": question.previous.key if question.previous else None,
    }
    return event(key, State.PLANNED, question, body)


def candidate_of(
    key: str, teacher: Teacher, question: Question, reply: Reply, started: float, seconds: float, cost: float | None
) -> Candidate:
    """What an answer's text is, taken apart; a text that cannot be is one with a `parse_error`."""
    # a lone surrogate cannot be stored as UTF-8; the raw bytes in the journal keep what really came
    text = reply.text.encode("utf-8", "replace").decode()
    trace: Trace | None = None
    problem: str | None = None
    try:
        trace = parse(text)
    except LayoutError as error:
        problem = str(error)
    return Candidate(
        key=key,
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
        text=text,
        reasoning=reply.reasoning,
        trace=trace,
        parse_error=problem,
        usage=reply.usage,
        cost_usd=cost,
        stop_reason=reply.stop_reason,
        label=reply.label,
        started_at=started,
        seconds=seconds,
    )
