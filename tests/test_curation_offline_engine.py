"""Offline teachers over an engine: shards of one run, merged; and what is not spread so."""

import json
from pathlib import Path
from typing import Any

import pytest
from curation_parts import make_store
from servers.studies import make_study
from tenstep.curation.curating import curate_run, resolve
from tenstep.curation.curating_offline import curate_offline
from tenstep.data.processes import Processes
from tenstep.data.run import RunFolder
from tenstep.data.sharding import Shard
from tenstep.schemas.errors import RecipeError

OFFLINE: dict[str, Any] = {"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}]}


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    reports = (f"Findings: Film {n}. The lungs are clear.\nImpression: Normal chest {n}." for n in range(30))
    return make_store(tmp_path / "studies", (make_study(str(n), report) for n, report in enumerate(reports))).root


def rows(run: Path) -> list[Any]:
    """What was decided on every study, without times."""
    with RunFolder.read(run) as opened:
        return sorted((c.study_id, c.key, c.text, v.model_dump_json()) for c, v in opened.judged())


def test_shards_come_to_what_one_run_comes_to(tmp_path: Path, studies: Path) -> None:
    recipe = resolve(OFFLINE, studies)
    curate_run(recipe, tmp_path / "one")
    found = curate_offline(recipe, tmp_path / "several", Processes(1), studies=8)
    assert rows(tmp_path / "one") == rows(tmp_path / "several")
    assert found.manifest.finished is not None
    assert not (tmp_path / "several.shards").exists()
    (tmp_path / "several.shards" / "1").mkdir(parents=True)  # as a kill leaves it when the shards are merged
    again = curate_offline(recipe, tmp_path / "several", Processes(1), studies=8)
    assert again.tally.asked == 0
    assert not (tmp_path / "several.shards").exists()


def test_shards_that_are_done_are_not_done_again(tmp_path: Path, studies: Path) -> None:
    log = tmp_path / "log"
    teacher = {"kind": "scripted", "options": {"mistakes": ["nine_steps"], "share": 0.0, "log": str(log)}}
    recipe = resolve(OFFLINE | {"teachers": [teacher]}, studies)
    curate_run(resolve(recipe, shard=Shard(2, 3)), tmp_path / "run.shards" / "2", workers=0)
    assert 0 < len(log.read_text().splitlines()) < 30
    assert curate_offline(recipe, tmp_path / "run", Processes(1), studies=10).manifest.counts["studies"] == 30
    asked = [json.loads(line)[0] for line in log.read_text().splitlines()]
    assert len(asked) == len(set(asked)) == 30


def test_teachers_that_send_requests_are_not_spread(tmp_path: Path, studies: Path) -> None:
    asking = {"kind": "local", "options": {"base_urls": ["http://127.0.0.1:9/v1"], "model": "m"}}
    for teacher in (asking, {"kind": "file"}):
        with pytest.raises(RecipeError, match="divide such a run with --shard"):
            curate_offline(resolve(OFFLINE | {"teachers": [teacher]}, studies), tmp_path / "run", Processes(1))
    assert not (tmp_path / "run").exists()
