"""The line's second half, as the demo runs it: a tiny student learns ten steps and what the films show."""

import re
from pathlib import Path

import pytest
from distill_student import DemoStudent, demo_student, tenstep
from tenstep.data.demo.folders import write_folders
from tenstep.data.demo.truth import draw
from tenstep.data.run import RunFolder
from tenstep.validators.samples import well_formed

__all__ = ["demo_student"]  # a fixture

UNSEEN, UNSEEN_SEED = 40, 100_000


def side_of(text: str) -> str:
    """The side of the effusion that a report's impression names."""
    impression = text.rpartition("Impression:")[2].lower()
    found = re.search(r"(left|right|bilateral) pleural effusion", impression)
    return found[1] if found else "none"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_student_writes_ten_steps_and_sees_the_effusion(demo_student: DemoStudent, tmp_path: Path) -> None:
    assert set(demo_student.said["trainable"]) == {"vision", "language", "head"}
    losses = demo_student.said["losses"]
    assert losses[-1]["loss"] < 0.1 * losses[0]["loss"]

    write_folders(tmp_path / "films", UNSEEN, first_seed=UNSEEN_SEED, defects=False)
    form = ("--form", "four-header", "--data-class", "public")
    tenstep("ingest", "folders", tmp_path / "films", *form, "--out", tmp_path / "unseen")
    words = ("sample", demo_student.folder, "--studies", tmp_path / "unseen", "--batch", "40")
    counts = tenstep(*words, "--out", tmp_path / "samples")
    with RunFolder.read(tmp_path / "samples") as run:
        judged = list(run.judged())
    assert counts["samples"] == len(judged) == UNSEEN
    assert counts["well_formed"] == sum(well_formed(verdict) for _, verdict in judged)
    assert counts["well_formed"] >= 0.95 * UNSEEN
    right = sum(side_of(candidate.text) == draw(int(candidate.study_id[-6:])).effusion for candidate, _ in judged)
    assert right >= 0.9 * UNSEEN
    assert 0 < counts["accepted"] == sum(verdict.accepted for _, verdict in judged)
