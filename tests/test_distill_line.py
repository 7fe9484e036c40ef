"""The line's second half, as the demo runs it: a tiny student learns ten steps and what the films show."""

import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.demo.truth import draw
from tenstep.data.run import RunFolder
from tenstep.validators.samples import well_formed

STUDIES, UNSEEN, UNSEEN_SEED = 400, 40, 100_000
Command = Callable[..., dict[str, Any]]


@pytest.fixture
def tenstep(tmp_path: Path) -> Command:
    """Run a command and read its JSON."""

    def run(*words: str | Path) -> dict[str, Any]:
        out = tmp_path / "out.json"
        out.unlink(missing_ok=True)  # a command replaces no file of another one
        assert main([*map(str, words), "--json", str(out)]) == 0
        found = json.loads(out.read_text("utf-8"))
        assert isinstance(found, dict)
        return found

    return run


def side_of(text: str) -> str:
    """The side of the effusion that a report's impression names."""
    impression = text.rpartition("Impression:")[2].lower()
    found = re.search(r"(left|right|bilateral) pleural effusion", impression)
    return found[1] if found else "none"


@pytest.mark.slow
def test_the_demo_student_writes_ten_steps_and_sees_the_effusion(tenstep: Command, tmp_path: Path) -> None:
    recipes = Path(str(resources.files("tenstep").joinpath("data", "demo")))
    form = ("--form", "four-header", "--data-class", "public")
    write_folders(tmp_path / "films", STUDIES, defects=False)
    write_folders(tmp_path / "new-films", UNSEEN, first_seed=UNSEEN_SEED, defects=False)
    tenstep("ingest", "folders", tmp_path / "films", *form, "--out", tmp_path / "studies")
    tenstep("ingest", "folders", tmp_path / "new-films", *form, "--out", tmp_path / "unseen")
    curated = tmp_path / "curated"
    tenstep("curate", recipes / "curate.yaml", "--studies", tmp_path / "studies", "--out", curated)
    trained = tenstep("distill", recipes / "distill.yaml", "--run", curated, "--out", tmp_path / "student")
    assert set(trained["trainable"]) == {"vision", "language", "head"}
    assert trained["losses"][-1]["loss"] < 0.1 * trained["losses"][0]["loss"]

    told = tenstep("sample", tmp_path / "student", "--studies", tmp_path / "unseen", "--out", tmp_path / "samples")
    with RunFolder.read(tmp_path / "samples") as run:
        judged = list(run.judged())
    assert told["samples"] == len(judged) == UNSEEN
    assert told["well_formed"] == sum(well_formed(verdict) for _, verdict in judged)
    assert told["well_formed"] >= 0.95 * UNSEEN
    right = sum(side_of(candidate.text) == draw(int(candidate.study_id[-6:])).effusion for candidate, _ in judged)
    assert right >= 0.9 * UNSEEN
    assert 0 < told["accepted"] == sum(verdict.accepted for _, verdict in judged)
