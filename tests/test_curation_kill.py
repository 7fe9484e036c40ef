"""kill -9 anywhere, continue: nothing that was received is lost, nothing is asked twice without being told to."""

import importlib.util
from pathlib import Path
from types import ModuleType


def _benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "journal.py"
    spec = importlib.util.spec_from_file_location("benchmark_journal", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_many_kills_lose_nothing_and_ask_nothing_twice(tmp_path: Path) -> None:
    losses = _benchmark().kill_and_continue(tmp_path / "kill", kills=12, studies=400, seed=1)
    assert losses.kills == 12
    assert (losses.lost_answers, losses.asked_twice, losses.unfinished) == (0, 0, 0)
