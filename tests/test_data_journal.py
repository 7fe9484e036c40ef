"""The journal: what is appended is on disk, in order, and stays there."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tenstep.data.journal import VERSION, Journal
from tenstep.schemas.errors import NewerRunError, RunError
from tenstep.schemas.run import Event, State


def event(number: int, state: State = State.PLANNED, raw: bytes | None = None) -> Event:
    return Event(
        key=f"{number:064x}", state=state, study_id=f"s/{number}", at=float(number), body={"n": number}, raw=raw
    )


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = [event(1), event(1, State.RECEIVED, raw=b"\x00\xff \xe2\x82"), event(2)]
    with Journal(tmp_path / "j.db", writable=True) as journal:
        journal.append(*written).result()
        assert list(journal.events()) == written


def test_a_done_future_means_another_process_can_read_the_event(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal:
        journal.append(event(7)).result()
        with Journal(tmp_path / "j.db", writable=False) as reader:
            assert reader.states() == {event(7).key: State.PLANNED}


def test_the_last_event_is_the_state(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal:
        journal.append(event(1), event(2), event(1, State.IN_FLIGHT)).result()
        journal.append(event(1, State.UNKNOWN)).result()
        assert journal.states() == {event(1).key: State.UNKNOWN, event(2).key: State.PLANNED}


def test_latest_gives_one_event_a_key_in_first_order(tmp_path: Path) -> None:
    again = event(1, State.JUDGED).model_copy(update={"body": {"n": "again"}})
    with Journal(tmp_path / "j.db", writable=True) as journal:
        journal.append(event(1, State.JUDGED), event(2, State.JUDGED), again).result()
        assert [found.body["n"] for found in journal.latest(State.JUDGED)] == ["again", 2]
        last = journal.last(event(1).key, State.JUDGED)
        assert last == again
        assert journal.last(event(3).key, State.JUDGED) is None


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal, ThreadPoolExecutor(8) as pool:
        for future in list(pool.map(lambda n: journal.append(event(n)), range(500))):
            future.result()
        assert len(journal.states()) == 500


def test_a_waiter_that_leaves_does_not_stop_the_writer(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal:
        for n in range(200):
            journal.append(event(n)).cancel()
        journal.append(event(999)).result()
        assert len(journal.states()) == 201


def test_closing_writes_what_was_appended(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal:
        futures = [journal.append(event(n)) for n in range(50)]
    assert all(future.done() and future.exception() is None for future in futures)
    with Journal(tmp_path / "j.db", writable=False) as journal:
        assert len(journal.states()) == 50


def test_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal:
        (synchronous,) = journal._reader.execute("PRAGMA synchronous").fetchone()
        (mode,) = journal._reader.execute("PRAGMA journal_mode").fetchone()
    assert (synchronous, mode) == (2, "wal")


def test_when_writing_fails_every_waiter_hears_of_it_and_nothing_more_is_taken(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal:
        journal.append(event(1)).result()
        thief = sqlite3.connect(tmp_path / "j.db")
        thief.execute("DROP TABLE events")
        thief.close()
        with pytest.raises(RunError, match="could not write"):
            journal.append(event(2)).result()
        with pytest.raises(RunError, match="takes no more"):
            journal.append(event(3)).result()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    Journal(tmp_path / "j.db", writable=True).close()
    with Journal(tmp_path / "j.db", writable=False) as journal, pytest.raises(RunError, match="read-only"):
        journal.append(event(1)).result()


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j.db", writable=True).close()
    later = sqlite3.connect(tmp_path / "j.db")
    later.execute(f"PRAGMA user_version={VERSION + 1}")
    later.close()
    with pytest.raises(NewerRunError, match="newer tenstep"):
        Journal(tmp_path / "j.db", writable=True)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j.db").write_text("not a database, but long enough to be looked at as one " * 20)
    with pytest.raises(RunError, match="cannot be opened"):
        Journal(tmp_path / "j.db", writable=True)
    with pytest.raises(RunError, match="run folder"):
        Journal(tmp_path / "none.db", writable=False)
