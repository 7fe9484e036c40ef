"""Shards: every study is in one, shares add up, and merged runs are what one machine would have made."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from curation_parts import GOOD, make_store, scripted
from hypothesis import given
from hypothesis import strategies as st
from servers.studies import make_study
from tenstep.__main__ import main
from tenstep.curation.shares import recipe_of_shard, share
from tenstep.data.journal import Journal
from tenstep.data.run import RunFolder
from tenstep.data.sharding import Shard, chosen, count
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import RecipeError
from tenstep.schemas.run import Event, State
from tenstep.schemas.study import Study
from tenstep.validators.rule import REFERENCE
from test_curation_template_trace import OTHER

SHARDS = 3
WHAT = ("opacity", "nodule", "effusion", "atelectasis", "scarring", "consolidation", "thickening", "pneumothorax")
WHERE = ("upper lobe", "middle zone", "lower lobe", "base", "apex", "costophrenic angle", "perihilar region", "hilum")
HOW = ("A small", "A large", "A faint", "A dense", "A new", "An old", "A subtle", "A moderate")


def studies(count: int, seed: int = 0) -> Iterator[Study]:
    """Two studies a patient, with reports that differ."""
    rng = random.Random(seed)
    for number in range(count):
        text = " ".join(
            f"{rng.choice(HOW)} {rng.choice(WHAT)} is in the {rng.choice(('left', 'right'))} {rng.choice(WHERE)}."
            for _ in range(6)
        )
        report = f"Technique: Frontal.\nView: PA\nFindings: {text}\nImpression: Film {number}."
        study = make_study(str(number), report, views=("PA",), report_form="four-header")
        yield study.model_copy(update={"patient_id": f"p{number // 2}"})


def recipe(folder: Path, **more: Any) -> Path:
    path = folder / f"recipe{len(list(folder.glob('recipe*')))}.yaml"
    teacher = {"kind": "scripted", "options": {"mistakes": ["nine_steps", "preamble"], "share": 0.4, "stubborn": 0.3}}
    made = {"kind": "curate", "name": "t", "concurrency": 4, "teachers": [teacher], "repair": {"attempts": 1}} | more
    path.write_text(yaml.safe_dump(made))
    return path


def curate(path: Path, folder: Path, out: str, *more: str) -> dict[str, Any]:
    words = ["curate", str(path), "--studies", str(folder / "studies"), "--out", str(folder / out), "--workers", "0"]
    assert main([*words, *more, "--json", str(folder / f"{words[0]}.json")]) == 0
    found: dict[str, Any] = json.loads((folder / f"{words[0]}.json").read_text())
    return found


def merge(folder: Path, out: str, *runs: str) -> dict[str, Any]:
    words = ["merge-runs", str(folder / out), *(str(folder / run) for run in runs)]
    assert main([*words, "--json", str(folder / f"{words[0]}.json")]) == 0
    found: dict[str, Any] = json.loads((folder / f"{words[0]}.json").read_text())
    return found


def verdicts(run: Path) -> dict[str, tuple[Any, ...]]:
    """By request: what was answered and what the rules said of it."""
    with RunFolder.read(run) as opened:
        return {c.key: (c.study_id, c.attempt, c.text, v.outcome, v.codes) for c, v in opened.judged()}


def tables(run: Path) -> dict[str, list[Any]]:
    """Studies and texts of each table, in an order that does not depend on who was faster."""
    found = {}
    for name in ("accepted", "doubted", "rejected"):
        rows = [json.loads(line) for line in (run / f"{name}.jsonl").read_text("utf-8").splitlines()]
        for row in rows:
            for part in (row.get("provenance"), row.get("candidate")):
                for key in ("started_at", "seconds"):
                    (part or {}).pop(key, None)
        found[name] = sorted(rows, key=json.dumps)
    return found


@given(st.integers(1, 9), st.lists(st.text(min_size=1), max_size=40))
def test_a_patient_is_in_one_shard_and_stays_there(of: int, patients: list[str]) -> None:
    shards = [Shard(number, of) for number in range(1, of + 1)]
    for patient in patients:
        assert sum(shard.holds(patient) for shard in shards) == 1


def test_shards_are_of_about_one_size_and_stay_when_rows_are_added(tmp_path: Path) -> None:
    store = make_store(tmp_path / "studies", studies(600))
    more = make_store(tmp_path / "more", chain(studies(600), studies(700)))
    parts = [{s.id for _, s in chosen(store, None, Shard(number, 4))} for number in range(1, 5)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 600
    assert all(100 < len(part) < 200 for part in parts)
    for number, part in enumerate(parts, 1):
        assert part == {s.id for _, s in chosen(more, 600, Shard(number, 4))}
        assert count(store, None, Shard(number, 4)) == len(part)
        patients = [s.patient_id for _, s in chosen(store, None, Shard(number, 4))]
        assert len(patients) == 2 * len(set(patients))
    assert count(store, 100, Shard(1, 4)) == len(list(chosen(store, 100, Shard(1, 4))))
    assert count(store, 100, None) == 100


@given(st.integers(0, 10**9), st.integers(1, 50))
def test_shares_add_up_to_the_whole_and_differ_by_one_at_most(whole: int, of: int) -> None:
    shares = [share(whole, Shard(number, of)) for number in range(1, of + 1)]
    assert sum(shares) == whole and max(shares) - min(shares) <= 1


@given(st.floats(0, 1e6, allow_nan=False), st.integers(1, 50))
def test_dollars_of_all_shards_are_never_more_than_the_budget(usd: float, of: int) -> None:
    whole = CurateRecipe.model_validate(
        {"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}], "budget": {"usd": usd}}
    )
    shares = [recipe_of_shard(whole, Shard(number, of)).budget.usd for number in range(1, of + 1)]
    in_millionths = [round((one or 0) * 1_000_000) for one in shares]
    assert usd * 1_000_000 - 1 <= sum(in_millionths) <= usd * 1_000_000 * (1 + 1e-12)


def test_goal_budget_and_rate_are_split_once(tmp_path: Path) -> None:
    whole = CurateRecipe.model_validate(
        {
            "kind": "curate",
            "name": "t",
            "teachers": [{"kind": "checklist"}],
            "goal": {"accepted": 10, "pilot": 2},
            "budget": {"calls": 11, "tokens": 1_000, "usd": 1.0},
            "rate": {"requests_per_minute": 90},
        }
    )
    parts = [recipe_of_shard(whole, Shard(number, 3)) for number in (1, 2, 3)]
    assert [part.goal.accepted for part in parts] == [4, 3, 3]
    assert [part.goal.pilot for part in parts] == [1, 1, 1]
    assert [part.budget.calls for part in parts] == [4, 4, 3]
    assert [part.budget.tokens for part in parts] == [334, 333, 333]
    assert [part.budget.usd for part in parts] == [0.333334, 0.333333, 0.333333]
    assert [part.rate.requests_per_minute for part in parts] == [30, 30, 30]
    assert recipe_of_shard(parts[1], Shard(2, 3)) == parts[1]  # what a run folder holds
    with pytest.raises(RecipeError, match="is the recipe of shard 2/3"):
        recipe_of_shard(parts[1], Shard(1, 3))
    with pytest.raises(RecipeError, match="10 cannot be split over 11 shards"):
        recipe_of_shard(whole, Shard(1, 11))


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2"])
def test_what_is_no_shard_is_one_line(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curate", "r.yaml", f"--shard={text}", "--out", str(tmp_path / "run")]) == 2
    assert "is no shard; wanted is I/N" in capsys.readouterr().err


def test_three_shards_of_which_one_is_killed_are_merged_into_what_one_machine_makes(tmp_path: Path) -> None:
    make_store(tmp_path / "studies", studies(150))
    teachers = [
        {"kind": "scripted", "name": name, "options": {"mistakes": ["nine_steps"], "share": 0.4, "seconds": 0.01}}
        for name in ("one", "two")
    ]
    path = recipe(tmp_path, teachers=teachers, resend_unknown="yes")
    whole = curate(path, tmp_path, "whole")
    for number in (1, 3):
        curate(path, tmp_path, f"shard-{number}", "--shard", f"{number}/{SHARDS}")
    words = ["--studies", str(tmp_path / "studies"), "--out", str(tmp_path / "shard-2"), "--shard", f"2/{SHARDS}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tenstep", "curate", str(path), *words], stdout=subprocess.DEVNULL, env=os.environ
    )
    received = 0
    while received < 12 and process.poll() is None:
        time.sleep(0.02)
        if (tmp_path / "shard-2" / "journal.mark").exists():
            with Journal(tmp_path / "shard-2" / "journal.db", writable=False) as journal:
                received = sum(event.state is State.RECEIVED for event in journal.events(raw=False))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was done before it was killed"
    resumed = curate(path, tmp_path, "shard-2", "--shard", f"2/{SHARDS}")
    assert resumed["recalled"] and resumed["asked"]

    merged = merge(tmp_path, "merged", *(f"shard-{number}" for number in (1, 2, 3)))
    assert (merged["templates"], merged["finished"], merged["notes"]) == (0, True, [])
    for key in ("accepted", "doubted", "rejected", "repaired", "studies"):
        assert merged[key] == whole[key], key
    assert verdicts(tmp_path / "merged") == verdicts(tmp_path / "whole")
    assert tables(tmp_path / "merged") == tables(tmp_path / "whole")
    with RunFolder.read(tmp_path / "merged") as run:
        assert run.journal.count() == merged["events"]
        judged = [event.key for event in run.journal.events(raw=False) if event.state is State.JUDGED]
        assert len(judged) == len(set(judged))
        assert set(run.manifest.identities) and run.manifest.recipe["shard"] is None

    # it opens in whatever reads a run, and goes on as a run of the whole that has nothing left to do
    assert main(["status", str(tmp_path / "merged"), "--json", str(tmp_path / "status.json")]) == 0
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["touched"], status["accepted"], status["studies"]) == (150, whole["accepted"], 150)
    assert main(["recheck", str(tmp_path / "merged"), "--workers", "1", "--json", str(tmp_path / "r.json")]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["changed"] == []
    export = ["export", str(tmp_path / "merged"), "--to", "jsonl", "--text-only", "--out", str(tmp_path / "export")]
    assert main(export) == 0
    assert main(["review", str(tmp_path / "merged"), "--out", str(tmp_path / "review.html")]) == 0
    again = curate(path, tmp_path, "merged")
    assert (again["asked"], again["accepted"], again["ended"]) == (0, whole["accepted"], "data")


def test_templates_are_found_across_shards(tmp_path: Path) -> None:
    """The same steps before references that differ: no shard alone can see it."""
    names = ["a", "b", "c", "d", "e", "f"]
    reports = (REFERENCE if number % 2 else OTHER for number in range(len(names)))
    make_store(
        tmp_path / "studies", (make_study(name, text, views=("PA",)) for name, text in zip(names, reports, strict=True))
    )
    teacher = scripted(tmp_path, {name: [GOOD] for name in names})
    path = recipe(tmp_path, teachers=[teacher], repair={"attempts": 0}, concurrency=1)
    whole = curate(path, tmp_path, "whole")
    assert whole["doubted"] == len(names)
    alone = [curate(path, tmp_path, f"shard-{number}", "--shard", f"{number}/6") for number in range(1, 7)]
    assert sum(one["doubted"] for one in alone) < len(names)
    merged = merge(tmp_path, "merged", *(f"shard-{number}" for number in range(1, 7)))
    assert (merged["doubted"], merged["templates"] > 0) == (len(names), True)
    assert {k: v[3:] for k, v in verdicts(tmp_path / "merged").items()} == {
        k: v[3:] for k, v in verdicts(tmp_path / "whole").items()
    }


def test_what_does_not_belong_together_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path / "studies", studies(12))
    path = recipe(tmp_path)
    for number in (1, 2):
        curate(path, tmp_path, f"shard-{number}", "--shard", f"{number}/2")
    curate(path, tmp_path, "third", "--shard", "1/3")
    curate(path, tmp_path, "whole")
    curate(recipe(tmp_path, severities={"repeated_step": "warning"}), tmp_path, "other", "--shard", "2/2")
    curate(recipe(tmp_path, limit=10), tmp_path, "fewer", "--shard", "2/2")

    def refused(*runs: str) -> str:
        capsys.readouterr()
        assert main(["merge-runs", str(tmp_path / "out"), *(str(tmp_path / run) for run in runs)]) == 2
        assert not (tmp_path / "out").exists()
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    assert "other: is of another recipe than" in (said := refused("shard-1", "other")) and "(severities differ)" in said
    assert "(limit differ)" in refused("shard-1", "fewer")
    assert "is shard 1/3, and" in refused("shard-1", "third")
    assert "shard-1: is named twice" in refused("shard-1", "shard-2", "shard-1")
    shutil.copytree(tmp_path / "shard-1", tmp_path / "copy")
    assert "copy: is shard 1/2, and so is" in refused("shard-1", "copy")
    assert "is in" in (said := refused("shard-1", "whole")) and "study 't/" in said
    assert "there is no manifest.json here" in refused("shard-1", "nowhere")
    assert "is already there" not in refused("shard-1", "studies")
    assert main(["merge-runs", str(tmp_path / "shard-1"), str(tmp_path / "shard-2")]) == 2
    assert "is there already" in capsys.readouterr().err
    make_store(tmp_path / "others", studies(12, seed=5))
    words = ["--studies", str(tmp_path / "others"), "--out", str(tmp_path / "elsewhere"), "--shard", "2/2"]
    assert main(["curate", str(path), *words, "--workers", "0"]) == 0
    assert "which is no copy of" in refused("shard-1", "elsewhere")


def test_a_shard_is_another_run_than_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path / "studies", studies(8))
    path = recipe(tmp_path)
    curate(path, tmp_path, "shard-1", "--shard", "1/2")
    words = ["curate", str(path), "--studies", str(tmp_path / "studies"), "--out", str(tmp_path / "shard-1")]
    assert main([*words, "--shard", "2/2"]) == 2
    assert "(shard differ)" in capsys.readouterr().err
    resolved = tmp_path / "shard-1" / "recipe.yaml"  # runs again as it is
    assert main(["curate", str(resolved), "--out", str(tmp_path / "shard-1")]) == 0
    status = tmp_path / "status.json"
    assert main(["status", str(tmp_path / "shard-1"), "--json", str(status)]) == 0
    store = StudyStore.open(tmp_path / "studies")
    assert json.loads(status.read_text())["studies"] == count(store, None, Shard(1, 2))


def test_what_is_missing_is_said_and_asked_later(tmp_path: Path) -> None:
    make_store(tmp_path / "studies", studies(20))
    path = recipe(tmp_path, budget={"calls": 100}, goal={"accepted": 20, "pilot": 0})
    one = curate(path, tmp_path, "shard-1", "--shard", "1/2")
    merged = merge(tmp_path, "merged", "shard-1")
    assert "shards 2/2 are not among the runs" in merged["notes"][0]
    with RunFolder.read(tmp_path / "merged") as run:
        assert run.manifest.recipe["budget"]["calls"] == 50
    whole = curate(path, tmp_path, "merged")
    assert whole["recalled"] == one["asked"] and whole["asked"] > 0
    assert main(["status", str(tmp_path / "merged"), "--json", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["touched"] == 20


def test_an_interrupted_shard_and_one_that_is_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path / "studies", studies(8))
    path = recipe(tmp_path)
    curate(path, tmp_path, "shard-1", "--shard", "1/2")
    curate(path, tmp_path, "shard-2", "--shard", "2/2")
    made = CurateRecipe.model_validate(json.loads((tmp_path / "shard-2/manifest.json").read_text())["recipe"])
    store = StudyStore.open(tmp_path / "studies")
    with RunFolder.open(tmp_path / "shard-2", kind="curate", recipe=made, studies=store) as run:
        run.journal.append(Event(key="a" * 64, state=State.IN_FLIGHT, study_id="t/x", at=9e9)).result()
        words = ["merge-runs", str(tmp_path / "out"), str(tmp_path / "shard-1"), str(tmp_path / "shard-2")]
        assert main(words) == 2
        assert "another process is working on this run" in capsys.readouterr().err
    merged = merge(tmp_path, "merged", "shard-1", "shard-2")
    assert not merged["finished"] and "shard-2 has not finished" in merged["notes"][0]
    assert merged["in_flight"] == 1


def test_the_slurm_example_of_the_documentation_curates_its_shards(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "howto" / "cluster.md").read_text("utf-8")
    (script,) = (block for block in re.findall(r"```bash\n(.*?)```", page, re.S) if "SBATCH --array=1-3" in block)
    make_store(tmp_path / "studies", studies(12))
    recipe(tmp_path).rename(tmp_path / "recipe.yaml")
    (tmp_path / "runs").mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for number in ("1", "2", "3"):
        environment = {**os.environ, "PATH": path, "SLURM_ARRAY_TASK_ID": number, "SLURM_ARRAY_TASK_COUNT": "3"}
        subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    merged = merge(tmp_path, "whole", *(f"runs/shard-{number}" for number in (1, 2, 3)))
    assert merged["accepted"] + merged["doubted"] + merged["rejected"] == 12
