"""Work over shards: in order, the same for any number of processes, with what fails in the place of its result."""

import os
import signal
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from tenstep.data.kept import keep
from tenstep.data.workers import KILLED, Failed, each, in_order, sure
from tenstep.schemas.errors import InputError, MissingExtraError, RunError

ROWS = range(300)


def squares(rows: Sequence[int]) -> list[int]:
    return [row * row for row in rows]


def squares_but_two(rows: Sequence[int]) -> list[int]:
    if 77 in rows:
        raise KeyError("a text that must not be quoted")
    return squares(rows)


def squares_or_killed(rows: Sequence[int]) -> list[int]:
    if 77 in rows:
        os.kill(os.getpid(), signal.SIGKILL)
    return squares(rows)


def refused(rows: Sequence[int]) -> list[int]:
    raise MissingExtraError("select", "scikit-learn")


def full(rows: Sequence[int]) -> list[int]:
    raise OSError(28, "No space left on device")


def counted(log: Path, rows: Sequence[int]) -> list[int]:
    with log.open("a") as file:
        file.writelines(f"{row}\n" for row in rows)
    return squares(rows)


def killed_later(log: Path, rows: Sequence[int]) -> list[int]:
    if 200 in rows:
        raise KeyboardInterrupt
    return counted(log, rows)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_rows(workers: int) -> None:
    assert list(in_order(squares, ROWS, workers)) == [(row, row * row) for row in ROWS]
    assert list(in_order(squares, (), workers)) == []
    assert list(each(squares, [[1], [2], [3]], workers)) == [[1], [4], [9]]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_row_that_cannot_be_worked_on_costs_itself_alone_and_is_not_quoted(workers: int) -> None:
    found = dict(in_order(squares_but_two, ROWS, workers))
    failed = {row: one for row, one in found.items() if isinstance(one, Failed)}
    assert list(failed) == [77]
    assert failed[77].reason.startswith("KeyError in test_data_workers.py, line ")
    assert {row: one for row, one in found.items() if row != 77} == {row: row * row for row in ROWS if row != 77}


def test_a_row_that_kills_its_process_costs_itself_alone() -> None:
    found = dict(in_order(squares_or_killed, ROWS, 2))
    assert [row for row, one in found.items() if one == KILLED] == [77]
    assert {row: one for row, one in found.items() if row != 77} == {row: row * row for row in ROWS if row != 77}
    with pytest.raises(RunError, match="row 77 could not be worked on: its process was killed"):
        sure(found[77], "row 77")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_user_or_the_machine_has_to_mend_ends_the_work(workers: int) -> None:
    with pytest.raises(MissingExtraError, match="scikit-learn is not installed"):
        list(in_order(refused, ROWS, workers))
    with pytest.raises(OSError, match="No space left"):
        list(in_order(full, ROWS, workers))


def test_finished_shards_are_not_done_again(tmp_path: Path) -> None:
    log, shards = tmp_path / "log", tmp_path / "shards"
    with pytest.raises(KeyboardInterrupt):
        list(in_order(partial(killed_later, log), ROWS, 1, keep(shards, "square", {}, str)))
    before = len(log.read_text().split())
    assert before == 192
    found = list(in_order(partial(counted, log), ROWS, 1, keep(shards, "square", {}, str)))
    assert found == [(row, row * row) for row in ROWS]
    assert sorted(map(int, log.read_text().split())) == list(ROWS)
    list(in_order(partial(counted, log), ROWS, 1, keep(shards, "square", {"other": 1}, str)))  # another question
    assert len(log.read_text().split()) == 2 * len(ROWS)


def test_shards_with_a_failed_row_are_done_again(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    assert dict(in_order(squares_but_two, ROWS, 1, keep(shards, "square", {}, str)))[77] != 77 * 77
    assert dict(in_order(squares, ROWS, 1, keep(shards, "square", {}, str)))[77] == 77 * 77


def test_shards_are_their_owners_alone(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    list(in_order(squares, ROWS, 1, keep(shards, "square", {}, str)))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (shards, *shards.iterdir())}
    assert modes == {0o700, 0o600}
    (tmp_path / "open").mkdir(mode=0o777)
    with pytest.raises(InputError, match="others can read or write here"):
        keep(tmp_path / "open", "square", {}, str)
