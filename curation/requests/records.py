"""Records: what the journal keeps of a request."""

import time
from collections.abc import Mapping

from ...schemas.run import Event, State
from ..teacher import Question, Teacher, identity_sha256
from .budget import Amount


def event(key: str, state: State, question: Question, body: Mapping[str, object], raw: bytes | None = None) -> Event:
    """An event of a question, now."""
    return Event(key=key, state=state, study_id=question.study.id, at=time.time(), body=dict(body), raw=raw)


def departure(key: str, teacher: Teacher, question: Question, reserved: Amount, *, first: bool) -> Event:
    """A request is about to be sent: whom it asks, and what its budget holds back for it.

    Args:
        key: its request key.
        teacher: who is asked; the manifest holds its identity, under the hash that stands here.
        question: what is asked.
        reserved: the most that it can use.
        first: whether it is the first event of this key: then the parts of the question go with it, but for its texts.
    """
    body: dict[str, object] = {"teacher": teacher.name, "tokens": reserved.tokens, "usd": reserved.usd}
    if first:
        body |= {
            "identity": identity_sha256(teacher),
            "prompt_id": question.prompt.id,
            "prompt_sha256": question.prompt.sha256,
            "attempt": question.attempt,
            "sample": question.sample,
            "parent": question.previous.key if question.previous else None,
        }
    return event(key, State.IN_FLIGHT, question, body)
