"""Judging in other processes: the same verdicts, nothing lost when one of them dies, and none that outlives its run."""

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, NINE, make_store, scripted
from servers.studies import make_study
from tenstep.curation.engine import Engine
from tenstep.curation.requests.tally import Tally
from tenstep.curation.teacher import load
from tenstep.curation.verdict_pool import workers_for
from tenstep.data.processes import cores
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import RunError
from tenstep.schemas.run import State
from tenstep.validators.rule import REFERENCE

NAMES = [f"{number:02}" for number in range(40)]
BAD = GOOD.replace("both lungs are clear", "a large left effusion")


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return make_store(tmp_path / "studies", (make_study(name, REFERENCE, report_form="four-header") for name in NAMES))


def recipe_of(folder: Path) -> CurateRecipe:
    kinds = (
        [GOOD],
        [NINE, GOOD],
        [BAD, BAD, BAD],
        [NINE, NINE, NINE],
        ['{"step_01": "x'],
        ["Sure!\n" + GOOD, NINE, GOOD],
    )
    texts = {name: kinds[at % len(kinds)] for at, name in enumerate(NAMES)}
    fields = {"kind": "curate", "name": "t", "teachers": [scripted(folder, texts)], "concurrency": 16}
    return CurateRecipe.model_validate(fields)


def curate(out: Path, recipe: CurateRecipe, store: StudyStore, workers: int) -> Tally:
    with RunFolder.open(out, kind="curate", recipe=recipe, studies=store) as run:
        engine = Engine(run, recipe, [load(spec) for spec in recipe.teachers], workers=workers)
        tally = asyncio.run(engine.work())
        run.finish(spend_usd=0.0, studies=len(store))
    return tally


def said(out: Path) -> dict[str, Any]:
    """Everything that was judged, without times."""
    found = {}
    for table in ("accepted", "doubted", "rejected"):
        for line in (out / f"{table}.jsonl").read_text().splitlines():
            row = json.loads(line)
            key = row.get("candidate", row.get("provenance"))["key"]
            row.get("candidate", {}).update(started_at=0, seconds=0)
            found[table, key] = row
    return found


def test_other_processes_judge_as_this_one_does(tmp_path: Path, store: StudyStore) -> None:
    recipe = recipe_of(tmp_path)
    here, there = curate(tmp_path / "here", recipe, store, 0), curate(tmp_path / "there", recipe, store, 2)
    assert said(tmp_path / "here") == said(tmp_path / "there")
    assert here.rejected > 0 and here.doubted > 0 and here.repaired > 0
    counts = [(t.accepted, t.doubted, t.rejected, t.repaired, t.asked, dict(t.codes)) for t in (here, there)]
    assert counts[0] == counts[1]
    with RunFolder.read(tmp_path / "there") as run:
        order: dict[str, list[State]] = {}
        for event in run.journal.events(raw=False):
            order.setdefault(event.key, []).append(event.state)
    assert all(
        states[:3] == [State.IN_FLIGHT, State.RECEIVED, State.JUDGED]
        for states in order.values()
        if State.JUDGED in states
    )
    again = curate(tmp_path / "there", recipe, store, 2)
    assert again.asked == 0 and again.recalled + again.refused == there.asked


def judging() -> set[int]:
    """The processes below this one that answer messages."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return {int(row[0]) for row in rows if row[1] == str(os.getpid()) and "tenstep.data.child" in row[2]}


def test_a_process_that_is_killed_loses_no_answer(tmp_path: Path, store: StudyStore) -> None:
    recipe = recipe_of(tmp_path)
    others = judging()  # of other tests, such as the one that decodes images
    with RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=store) as run:
        engine = Engine(run, recipe, [load(spec) for spec in recipe.teachers], workers=1)

        async def work() -> None:
            working = asyncio.ensure_future(engine.work())
            while not (found := judging() - others):
                await asyncio.sleep(0.01)
            os.kill(found.pop(), signal.SIGKILL)
            await working

        with pytest.raises(RunError, match="--workers 0"):
            asyncio.run(work())
        states = set(run.journal.states().values())
    assert State.IN_FLIGHT not in states and State.RECEIVED in states
    assert curate(tmp_path / "run", recipe, store, 0).accepted > 0
    assert judging() <= others


def test_a_run_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    import sys

    code = (
        "import asyncio, os\n"
        "from tenstep.curation.batch_process import BatchProcess\n"
        "from functools import partial\n"
        "from tenstep.curation.verdict_worker import started\n"
        "async def main():\n"
        "    process = BatchProcess(partial(started, {}, 'hold', (), compares=True))\n"
        "    assert await process.run(('counted', ())) == (0, 0)\n"
        "    print(process._process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    worker = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes():
            return
        time.sleep(0.1)
    pytest.fail("the process is still there")


def test_tiny_runs_and_single_cores_need_no_other_process() -> None:
    assert workers_for(10) == 0
    assert workers_for(100_000) == min(8, cores() - 1)
