"""A candidate with its verdict, and the event as which the two stand in a run's journal.

This file knows that event's form and no other state of a request; it writes nothing itself.
"""

import time
from typing import Any, NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.run import Event, State
from ..schemas.verdict import Verdict


class Judged(NamedTuple):
    """A candidate and what the rules found in it."""

    candidate: Candidate
    verdict: Verdict


def judged(event: Event) -> Judged:
    """Read a judged event."""
    return Judged(
        Candidate.model_validate(event.body["candidate"], strict=False), Verdict.model_validate(event.body["verdict"])
    )


def judged_body(candidate: Candidate, verdict: Verdict) -> dict[str, Any]:
    """What a judged event holds."""
    return {"candidate": candidate.model_dump(mode="json"), "verdict": verdict.model_dump(mode="json")}


def judged_event(candidate: Candidate, verdict: Verdict) -> Event:
    """Write a judged event."""
    body = judged_body(candidate, verdict)
    return Event(key=candidate.key, state=State.JUDGED, study_id=candidate.study_id, at=time.time(), body=body)
