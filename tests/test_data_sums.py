"""Sums over a journal: what SQLite adds up is what its events say, one by one; also in journals of earlier versions."""

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenstep.curation.requests.history import History
from tenstep.data.digest import digest
from tenstep.data.journal import Journal
from tenstep.data.sums import Keyed
from tenstep.schemas.run import Event, State

USAGE = {"input_tokens": 7, "output_tokens": 3}
FLIGHT = (State.IN_FLIGHT, {"teacher": "one", "tokens": 100, "usd": 1.0})
RECEIVED = (State.RECEIVED, {"started_at": 1.0, "seconds": 0.5})


def candidate(outcome: str = "accept", by: str | None = None, usd: float | None = 0.5, attempt: int = 1) -> Any:
    """The body of a judged candidate."""
    severity = {"accept": "warning", "doubt": "doubt", "reject": "error"}[outcome]
    resolution = None if by is None else {"by": by, "outcome": "accept"}
    return State.JUDGED, {
        "candidate": {"teacher": "one", "attempt": attempt, "usage": USAGE, "cost_usd": usd},
        "verdict": {"findings": [{"severity": severity}], "resolution": resolution},
    }


CHECKED = [RECEIVED, (State.JUDGED, {"usage": USAGE, "usd": 0.25, "of": "c"})]  # a verifier's answer, no candidate
ENDS = [
    [],  # under way
    [RECEIVED],  # not judged yet
    [RECEIVED, candidate()],
    [RECEIVED, candidate("doubt")],
    [RECEIVED, candidate("doubt", "verifier"), candidate("doubt", "reader")],
    [RECEIVED, candidate("reject", attempt=2), candidate("reject", "reader", attempt=2)],
    [RECEIVED, candidate(usd=None)],
    [RECEIVED, (State.UNKNOWN, {"reason": "unreadable"})],
    [RECEIVED, (State.UNKNOWN, {"reason": "unreadable"}), candidate()],
    [RECEIVED, (State.REFUSED, {"reason": "no"})],
    [RECEIVED, (State.REFUSED, {"reason": "no", "usage": USAGE, "usd": 0.125})],
    [(State.UNKNOWN, {"reason": "cut"})],
    [(State.FAILED, {"reason": "429"})],
    [(State.FAILED, {"reason": "not sent", "sent": False})],
    [(State.FAILED, {"reason": "later", "sent": False, "waits": True})],
]
SENDINGS = st.lists(st.sampled_from(ENDS), max_size=3) | st.lists(st.sampled_from([CHECKED, ENDS[-1]]), max_size=3)
STORIES = st.lists(st.tuples(SENDINGS, st.booleans(), st.integers(0, 3)), min_size=1, max_size=8)


def events_of(stories: Any) -> list[Event]:
    """The events of requests that are sent up to three times, each with what came of it."""
    events = []
    for number, (sendings, unsent, study) in enumerate(stories):
        steps: list[Any] = [(State.FAILED, {"reason": "no image", "sent": False})] if unsent else []
        for end in sendings:
            steps += [FLIGHT, *end]
        events += [
            Event(key=f"{number:064x}", state=state, study_id=f"s/{study}", at=0.0, body=body) for state, body in steps
        ]
    return events


def told(history: History) -> Any:
    """What a history comes to."""
    fields = [history.calls, history.settled, history.uncertain, history.uncertain_calls, history.studies]
    return [*fields, history.waiting, +history.calls_by]


def counted(journal: Journal) -> Any:
    """Everything that a journal's sums say."""
    with journal.sums() as sums:
        history = History.of(sums)
        said = [sums.standing(), sums.studies(), sums.authors(), sums.attempts(), sums.resolved()]
    return [*told(history), history.answered, *said, told(history.close())]


@settings(max_examples=60, deadline=None)
@given(STORIES)
def test_what_is_added_up_is_what_the_events_say_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, stories: Any
) -> None:
    events = events_of(stories)
    flights = [event for event in events if event.state is State.IN_FLIGHT]
    one_by_one = History(studies=len({event.study_id for event in flights}), calls_by=Counter(one=len(flights)))
    for number, event in enumerate(events, 1):
        one_by_one.add(Keyed(event.key, digest(number, event)))
    last = {event.key: event.state for event in events}
    judged = {event.key: event for event in events if event.state is State.JUDGED and "candidate" in event.body}
    with Journal(tmp_path_factory.mktemp("j") / "j.db", writable=True) as journal:
        journal.append(*events).result()
        with journal.sums() as sums:
            history, studies, standing = History.of(sums), sums.studies(), sums.standing()
            attempts = sums.attempts()
    assert told(history) == told(one_by_one)
    assert told(history.close()) == told(one_by_one.close())
    assert standing == Counter(last.values())
    assert studies.touched == len({event.study_id for event in judged.values()})
    assert sum(sum(found.values()) for found in attempts.values()) == len(judged)


def as_version_1(path: Path, events: list[Event]) -> Path:
    """A journal as the first version wrote it: an event `planned` before the departure, and no digest."""
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE events (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, "
            "state TEXT NOT NULL, study_id TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL, raw BLOB)"
        )
        db.execute("CREATE INDEX by_key ON events (key, state)")
        db.execute("CREATE INDEX facts ON events (seq, key, json_extract(body, '$.teacher'))")
        known = set[str]()
        for event in events:
            body = dict(event.body)
            rows = [(event.state, body)]
            if event.state is State.IN_FLIGHT:
                teacher = body.pop("teacher")
                if event.key not in known:
                    rows.insert(0, (State.PLANNED, {"teacher": teacher, "identity": {"provider": "t"}}))
            known.add(event.key)
            for state, fields in rows:
                text = json.dumps(fields, separators=(",", ":"))
                values = (event.key, state, event.study_id, event.at, text, event.raw)
                db.execute("INSERT INTO events (key, state, study_id, at, body, raw) VALUES (?, ?, ?, ?, ?, ?)", values)
        db.execute("PRAGMA user_version=1")
    db.close()
    return path


def test_a_journal_of_version_1_says_the_same_read_only_and_after_it_was_brought_up(tmp_path: Path) -> None:
    twice = ([ENDS[-3], ENDS[2]], False, 1)
    events = events_of([*(([end], False, number % 5) for number, end in enumerate([*ENDS, CHECKED])), twice])
    with Journal(tmp_path / "new.db", writable=True) as journal:
        journal.append(*events).result()
        expected = counted(journal)
    old = as_version_1(tmp_path / "old.db", events)
    before = old.read_bytes()
    with Journal(old, writable=False) as journal:
        assert counted(journal) == expected
        assert counted(journal) == expected  # once more in the same process
    assert old.read_bytes() == before
    for _ in range(2):
        with Journal(old, writable=True) as journal:
            assert counted(journal) == expected
    with sqlite3.connect(old) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchall()
    db.close()


def test_sums_are_of_one_moment_while_another_process_writes(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as writer, Journal(tmp_path / "j.db", writable=False) as reader:
        writer.append(*events_of([([ENDS[2]], False, 0)])).result()
        with reader.sums() as sums:
            writer.append(*events_of([([ENDS[2]], False, 0), ([ENDS[2]], False, 1)])[3:]).result()
            assert (sums.asked(), sums.standing(), sum(sums.departures().values())) == (1, {State.JUDGED: 1}, 1)
        with reader.sums() as sums:
            assert (sums.asked(), sums.standing(), sum(sums.departures().values())) == (2, {State.JUDGED: 2}, 2)
