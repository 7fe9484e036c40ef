"""The digest: what sums over a journal need of each event, in a row of its own, so that bodies stay on disk.

    seq       of the event
    state     its state
    study     what it is about
    teacher   in_flight: whom the request asks; judged: who wrote the candidate
    attempt   judged: the candidate's
    tokens    in_flight: the most that it can use; else what was used
    usd       the same in dollars; none if a price is unknown
    used      1 if tokens and usd are what the provider counted
    sent      0 if it was not sent, after all
    waits     1 if its answer comes in a file or a batch
    outcome   judged: of the candidate's verdict; none for an answer that is no candidate, such as a verifier's
    resolved  judged: who resolved its doubts

The table is written with the events. For journals of earlier versions, which have none, SQLite makes it from the
bodies: once and for good where a journal is opened for writing, else for as long as it is read.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..schemas.run import Event, State
from ..schemas.verdict import Outcome, outcome_of


class Digest(NamedTuple):
    """One row; see the module."""

    seq: int
    state: State
    study: str
    teacher: str | None = None
    attempt: int | None = None
    tokens: int | None = None
    usd: float | None = None
    used: int | None = None
    sent: int | None = None
    waits: int | None = None
    outcome: Outcome | None = None
    resolved: str | None = None


INSERT = "INSERT INTO digest VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# the same in SQL, for events that were written without
_FILL = """
SELECT seq, state, study_id, json_extract(body, '$.candidate.teacher'), json_extract(body, '$.candidate.attempt'),
    COALESCE(json_extract(body, '$.candidate.usage.input_tokens'), 0)
        + COALESCE(json_extract(body, '$.candidate.usage.output_tokens'), 0),
    json_extract(body, '$.candidate.cost_usd'), 1, NULL, NULL,
    CASE
        WHEN json_extract(body, '$.verdict.resolution.by') = 'reader'
            THEN json_extract(body, '$.verdict.resolution.outcome')
        WHEN INSTR(json_extract(body, '$.verdict.findings'), '"severity":"error"') THEN 'reject'
        WHEN INSTR(json_extract(body, '$.verdict.findings'), '"severity":"doubt"')
            THEN COALESCE(json_extract(body, '$.verdict.resolution.outcome'), 'doubt')
        ELSE 'accept'
    END,
    json_extract(body, '$.verdict.resolution.by')
FROM events WHERE state = 'judged' AND json_type(body, '$.candidate') = 'object'
UNION ALL
SELECT seq, state, study_id,
    CASE WHEN state = 'in_flight' THEN COALESCE(json_extract(body, '$.teacher'), (
        SELECT json_extract(first.body, '$.teacher') FROM events AS first
        WHERE first.key = events.key AND first.state = 'planned')) END,
    NULL,
    CASE WHEN state = 'in_flight' THEN json_extract(body, '$.tokens')
        ELSE COALESCE(json_extract(body, '$.usage.input_tokens'), 0)
            + COALESCE(json_extract(body, '$.usage.output_tokens'), 0) END,
    json_extract(body, '$.usd'),
    CASE WHEN state = 'judged' OR (state IN ('failed', 'refused') AND json_type(body, '$.usage') = 'object') THEN 1 END,
    json_extract(body, '$.sent'), json_extract(body, '$.waits'), NULL, NULL
FROM events WHERE state <> 'judged' OR json_type(body, '$.candidate') IS NOT 'object'
"""


def digest(seq: int, event: Event) -> Digest:
    """The row of an event."""
    body, state = event.body, event.state
    candidate, usage = body.get("candidate"), body.get("usage")
    if state is State.JUDGED and isinstance(candidate, Mapping):
        verdict = body.get("verdict") or {}
        resolution = verdict.get("resolution") or {}
        return Digest(
            seq,
            state,
            event.study_id,
            teacher=candidate.get("teacher"),
            attempt=candidate.get("attempt"),
            tokens=_tokens(candidate.get("usage")),
            usd=candidate.get("cost_usd"),
            used=1,
            outcome=outcome_in(verdict),
            resolved=resolution.get("by"),
        )
    used = state is State.JUDGED or (state in (State.FAILED, State.REFUSED) and isinstance(usage, Mapping))
    return Digest(
        seq,
        state,
        event.study_id,
        teacher=body.get("teacher") if state is State.IN_FLIGHT else None,
        tokens=body.get("tokens") if state is State.IN_FLIGHT else _tokens(usage),
        usd=body.get("usd"),
        used=1 if used else None,
        sent=body.get("sent"),
        waits=body.get("waits"),
    )


def create(connection: sqlite3.Connection, *, temporary: bool = False) -> None:
    """Make the table, and fill it from the events that are there."""
    name = "temp.digest" if temporary else "main.digest"
    connection.execute(
        f"CREATE TABLE {name} (seq INTEGER PRIMARY KEY, state TEXT NOT NULL, study TEXT NOT NULL, teacher TEXT, "
        "attempt INTEGER, tokens INTEGER, usd REAL, used INTEGER, sent INTEGER, waits INTEGER, outcome TEXT, "
        "resolved TEXT)"
    )
    connection.execute(f"INSERT INTO {name} {_FILL}")


def _tokens(usage: Any) -> int:
    return (usage.get("input_tokens") or 0) + (usage.get("output_tokens") or 0) if isinstance(usage, Mapping) else 0


def outcome_in(verdict: Mapping[str, Any]) -> Outcome:
    """The outcome of a verdict as an event holds it."""
    resolution = verdict.get("resolution") or {}
    found = {str(finding.get("severity")) for finding in verdict.get("findings") or ()}
    return outcome_of(found, resolution.get("by"), resolution.get("outcome"))
