"""States: where requests stand, whether they are held or read from the journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tenstep.data.journal import Journal
from tenstep.data.states import States
from tenstep.schemas.run import Event, State

HELD = 10_000  # at least so many as it holds


def key(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.db", writable=True) as opened:
        yield opened


def departs(journal: Journal, number: int) -> None:
    journal.append(Event(key=key(number), state=State.IN_FLIGHT, study_id="s", at=1.0)).result()


def test_what_an_earlier_call_journalled_is_known(journal: Journal) -> None:
    departs(journal, 1)
    states = States(journal)
    assert states.get(key(1)) is State.IN_FLIGHT and states.get(key(2)) is None
    departs(journal, 3)
    assert States(journal).get(key(3)) is State.IN_FLIGHT  # of a second pass over the same open journal


def test_a_run_that_begins_with_nothing_knows_what_it_has_let_go_of(journal: Journal) -> None:
    states = States(journal)
    assert states.get(key(0)) is None
    departs(journal, 0)
    states[key(0)] = State.IN_FLIGHT
    for number in range(1, HELD + 2):
        states[key(number)] = State.FAILED
    assert states.get(key(0)) is State.IN_FLIGHT
    assert states.get(key(HELD + 5)) is None
