"""Records: what the journal keeps of a request."""

import time
from collections.abc import Mapping

from ...schemas.run import Event, State
from ..teacher import Question, Teacher


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
