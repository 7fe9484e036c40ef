"""A candidate with its verdict, and the event as which the two stand in a run's journal among other requests.

This file knows that event's form and no other state of a request; it writes nothing itself.
"""

import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.run import Event, State
from ..schemas.verdict import Verdict
from .journal import Journal
from .journal_file import Position


class Judged(NamedTuple):
    """A candidate and what the rules found in it."""

    candidate: Candidate
    verdict: Verdict


def judged_events(journal: Journal, *, index: Path | None = None, since: Position | None = None) -> Iterator[Event]:
    """The last judged event of every candidate, in the order they were first judged; a verifier's answers are none.

    With the `index` of the study store (StudyStore.index): by study, in the store's order, and those of one study by
    attempt, sample and teacher. Neither depends on which answer was quicker. With `since`: those of studies only about
    which something was judged after that position.
    """
    latest = journal.latest(State.JUDGED, index=index, since=since)
    events = (event for event in latest if "candidate" in event.body)
    if index is None:
        yield from events
        return
    for _, some in groupby(events, lambda event: event.study_id):
        yield from sorted(some, key=_place)


def _place(event: Event) -> tuple[int, int, str, str]:
    """Of a candidate among those of its study."""
    candidate = event.body["candidate"]
    return candidate.get("attempt", 1), candidate.get("sample", 0), candidate["teacher"], event.key


def judged(event: Event) -> Judged:
    """Read a judged event."""
    return Judged(
        Candidate.model_validate(event.body["candidate"], strict=False), Verdict.model_validate(event.body["verdict"])
    )


def judged_body(candidate: Candidate, verdict: Verdict) -> dict[str, Any]:
    """What a judged event holds."""
    return {"candidate": candidate.model_dump(mode="json"), "verdict": verdict.model_dump(mode="json")}


def judged_event(candidate: Candidate, verdict: Verdict, sketches: bytes | None = None) -> Event:
    """Write a judged event, with sketches of its texts where there are any, so that none is made again."""
    body = judged_body(candidate, verdict)
    return Event(
        key=candidate.key, state=State.JUDGED, study_id=candidate.study_id, at=time.time(), body=body, raw=sketches
    )
