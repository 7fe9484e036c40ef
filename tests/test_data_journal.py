"""The journal: what is appended is on disk, in order, and stays there."""

import gc
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tenstep.data.journal import Journal
from tenstep.data.journal_file import VERSION
from tenstep.schemas.errors import NewerRunError, RunError, why
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


def test_events_that_are_not_read_to_their_end_may_outlive_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.db", writable=True) as journal:
        journal.append(event(1), event(2)).result()
        events = journal.events()
        next(events)
    del events
    gc.collect()  # what a generator raises when it is closed is a warning, hence an error


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
    with pytest.raises(RunError, match="journal is missing"):
        Journal(tmp_path / "none.db", writable=False)


def full(path: Path, count: int = 9) -> Path:
    with Journal(path, writable=True) as journal:
        journal.append(*map(event, range(count))).result()
    return path


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, "tests")
from tenstep.data.journal import Journal
from tenstep.schemas.run import Event, State
journal = Journal(Path(sys.argv[1]), writable=True)
for n in range(40):
    body = {"n": "x" * 500}
    journal.append(Event(key=f"{n:064x}", state=State.PLANNED, study_id=f"s/{n}", at=0.0, body=body)).result()
os._exit(9)  # what is in the -wal stays there
"""


def killed(path: Path) -> Path:
    subprocess.run([sys.executable, "-c", KILLED, path], timeout=60, check=False)
    assert path.with_name(path.name + "-wal").stat().st_size
    return path


def test_a_kill_loses_nothing_and_is_no_damage(tmp_path: Path) -> None:
    with Journal(killed(tmp_path / "journal.db"), writable=True) as journal:
        assert (journal.held, len(list(journal.events()))) == (40, 40)


@pytest.mark.parametrize("writable", [True, False])
def test_a_journal_that_is_gone_empty_or_replaced_is_never_begun_anew(tmp_path: Path, writable: bool) -> None:
    path = full(tmp_path / "journal.db")
    other = full(tmp_path / "other.db", 3)
    path.write_bytes(other.read_bytes())
    with pytest.raises(RunError, match="6 of 9 events are missing"):
        Journal(path, writable=writable)
    path.write_bytes(b"")
    with pytest.raises(RunError, match="is empty"):
        Journal(path, writable=writable)
    sqlite3.connect(path).execute("CREATE TABLE others (a)").connection.close()
    with pytest.raises(RunError, match="holds no table of events"):
        Journal(path, writable=writable)
    path.unlink()
    with pytest.raises(RunError, match="is missing"):
        Journal(path, writable=writable)


def test_events_that_were_cut_out_are_counted(tmp_path: Path) -> None:
    path = full(tmp_path / "journal.db")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE seq IN (3, 4)")
    connection.close()
    with pytest.raises(RunError, match="2 of 9 events are missing, perhaps because the journal was cut"):
        Journal(path, writable=True)


@pytest.mark.parametrize("damage", ["missing", "damaged or cut", "bits"])
def test_a_write_ahead_log_that_lost_events_is_named_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = killed(tmp_path / "journal.db")
    wal = path.with_name("journal.db-wal")
    before = wal.read_bytes()
    if damage == "missing":
        wal.unlink()
    elif damage == "bits":
        half = len(before) // 2
        flipped = bytes(byte ^ 0xFF for byte in before[half : half + 50])
        wal.write_bytes(before[:half] + flipped + before[half + 50 :])
    else:
        wal.write_bytes(before[: len(before) // 2])
    damaged = wal.read_bytes() if wal.exists() else None
    expected = "missing" if damage == "missing" else "damaged or cut"
    with pytest.raises(RunError, match=rf"journal.db-wal is {expected}|no table of events"):
        Journal(path, writable=True)
    assert damaged is None or wal.read_bytes() == damaged


def test_a_journal_of_an_earlier_version_has_no_mark_and_opens(tmp_path: Path) -> None:
    path = full(tmp_path / "journal.db")
    path.with_suffix(".mark").unlink()
    with Journal(path, writable=True) as journal:
        assert journal.held == 9
        journal.append(event(10)).result()
    assert int(path.with_suffix(".mark").read_text()) == 10


def test_a_folder_that_is_removed_meanwhile_is_noticed_at_the_next_event(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with Journal(folder / "journal.db", writable=True) as journal:
        journal.append(event(1)).result()
        shutil.rmtree(folder)
        with pytest.raises(RunError, match="folder was removed"):
            journal.append(event(2)).result()


def test_a_damaged_page_is_an_error_of_ours(tmp_path: Path) -> None:
    path = full(tmp_path / "journal.db", 500)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with (
        pytest.raises(RunError, match=r"journal is damaged|cannot be opened"),
        Journal(path, writable=False) as journal,
    ):
        list(journal.events())


def test_an_error_quotes_no_record_that_the_database_could_not_read() -> None:
    with pytest.raises(sqlite3.OperationalError, match="Secret") as caught:
        sqlite3.connect(":memory:").execute("SELECT CAST(X'53656372657420ff' AS TEXT) AS body").fetchall()
    assert why(caught.value) == "Could not decode to UTF-8 column 'body'"
