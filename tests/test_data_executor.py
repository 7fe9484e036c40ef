"""Work over shards: in order, the same for any number of processes, with what fails in the place of its result."""

import os
import signal
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from tenstep.data.executor import KILLED, Failed, sure
from tenstep.data.processes import THIS_PROCESS, Processes
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


FAULTS = {"kill": KeyboardInterrupt, "row": KeyError}


def counted(log: Path, rows: Sequence[int]) -> list[int]:
    """Squares, with a line in the log for each; row 200 meets the fault that lies beside the log."""
    fault = log.with_name("fault")
    if 200 in rows and fault.exists():
        raise FAULTS[fault.read_text()]
    with log.open("a") as file:
        file.writelines(f"{row}\n" for row in rows)
    return squares(rows)


@pytest.mark.parametrize("executor", [THIS_PROCESS, Processes(2)])
def test_results_come_in_the_order_of_the_rows(executor: Processes) -> None:
    assert list(executor.map_rows(squares, ROWS, str)) == [(row, row * row) for row in ROWS]
    assert list(executor.map_rows(squares, (), str)) == []
    assert list(executor.map(squares, [[1], [2], [3]])) == [[1], [4], [9]]


@pytest.mark.parametrize("executor", [THIS_PROCESS, Processes(2)])
def test_a_row_that_cannot_be_worked_on_costs_itself_alone_and_is_not_quoted(executor: Processes) -> None:
    found = dict(executor.map_rows(squares_but_two, ROWS, str))
    failed = {row: one for row, one in found.items() if isinstance(one, Failed)}
    assert list(failed) == [77]
    assert failed[77].reason.startswith("KeyError in test_data_executor.py, line ")
    assert {row: one for row, one in found.items() if row != 77} == {row: row * row for row in ROWS if row != 77}


def test_a_row_that_kills_its_process_costs_itself_alone() -> None:
    found = dict(Processes(2).map_rows(squares_or_killed, ROWS, str))
    assert [row for row, one in found.items() if one == KILLED] == [77]
    assert {row: one for row, one in found.items() if row != 77} == {row: row * row for row in ROWS if row != 77}
    with pytest.raises(RunError, match="row 77 could not be worked on: its process was killed"):
        sure(found[77], "row 77")


@pytest.mark.parametrize("executor", [THIS_PROCESS, Processes(2)])
def test_what_the_user_or_the_machine_has_to_mend_ends_the_work(executor: Processes) -> None:
    with pytest.raises(MissingExtraError, match="scikit-learn is not installed"):
        list(executor.map_rows(refused, ROWS, str))
    with pytest.raises(OSError, match="No space left"):
        list(executor.map_rows(full, ROWS, str))


def test_finished_shards_are_not_done_again(tmp_path: Path) -> None:
    log, executor = tmp_path / "log", Processes(1, tmp_path / "shards")
    (tmp_path / "fault").write_text("kill")
    with pytest.raises(KeyboardInterrupt):
        list(executor.map_rows(partial(counted, log), ROWS, str))
    assert len(log.read_text().split()) == 192
    (tmp_path / "fault").unlink()
    assert list(executor.map_rows(partial(counted, log), ROWS, str)) == [(row, row * row) for row in ROWS]
    assert sorted(map(int, log.read_text().split())) == list(ROWS)
    list(executor.map_rows(partial(counted, tmp_path / "other"), ROWS, str))  # other arguments are other work
    assert len((tmp_path / "other").read_text().split()) == len(ROWS)


def test_shards_with_a_failed_row_are_done_again(tmp_path: Path) -> None:
    work, executor = partial(counted, tmp_path / "log"), Processes(1, tmp_path / "shards")
    (tmp_path / "fault").write_text("row")
    assert isinstance(dict(executor.map_rows(work, ROWS, str))[200], Failed)
    (tmp_path / "fault").unlink()
    assert dict(executor.map_rows(work, ROWS, str))[200] == 200 * 200


def test_shards_are_their_owners_alone(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    list(Processes(1, shards).map_rows(squares, ROWS, str))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (shards, *shards.iterdir())}
    assert modes == {0o700, 0o600}
    (tmp_path / "open").mkdir(mode=0o777)
    with pytest.raises(InputError, match="others can read or write here"):
        list(Processes(1, tmp_path / "open").map_rows(squares, ROWS, str))
