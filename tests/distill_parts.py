"""What several tests of the student start from: films, accepted runs, an untrained student, recipes."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tenstep.data.demo.folders import write_folders
from tenstep.data.ingest import ingest
from tenstep.data.run import RunFolder
from tenstep.data.source import SourceOptions
from tenstep.data.store.studies import StudyStore
from tenstep.distill.train.tiny import build
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.policy import PolicyDecision
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.study import DataClass, ReportForm, Study
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate


def accepted_run(store: StudyStore, out: Path, policy: PolicyDecision | None = None) -> Path:
    """A run folder in which every study has an accepted trace, told from its own sections."""
    recipe = CurateRecipe(kind="curate", name="told", teachers=(TeacherSpec(kind="checklist"),))
    with RunFolder.open(out, kind="curate", recipe=recipe, studies=store) as run:
        if policy is not None:
            run.decide(policy)
        for study in store:
            candidate = read_candidate(steps(study), study.id, writes_report=False)
            run.record(candidate, judge(study, candidate), raw=b"")
        assert run.finish().counts["accepted"] == len(store)
    return out


def steps(study: Study) -> str:
    """Ten steps from a phantom's sections."""
    parts = study.sections
    findings = [f"{sentence.strip('. ')}." for sentence in (parts.findings or "").split(". ")]
    texts = [parts.technique, *findings, f"Synthesis: {parts.impression}"]
    assert len(texts) == 10
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))


def ingested(
    folder: Path,
    films: Path,
    form: ReportForm = "four-header",
    *,
    text_only: bool = False,
    data_class: DataClass = "public",
) -> StudyStore:
    """A store of a folder of films."""
    return ingest("folders", films, folder, SourceOptions(form=form, data_class=data_class, text_only=text_only))


def filmed(folder: Path, studies: int, *, data_class: DataClass = "public") -> StudyStore:
    """A store of phantoms' films, both in the folder."""
    films = write_folders(folder / "films", studies, size=64, defects=False)
    return ingested(folder / "studies", films, data_class=data_class)


def untrained(base: Path, sentences: Sequence[str], **fields: Any) -> DistillRecipe:
    """A recipe on a new tiny student, whose tokenizer learns from these sentences."""
    build(base, sentences)
    return recipe_on(base, **fields)


def recipe_on(base: Path, **fields: Any) -> DistillRecipe:
    """A recipe on a student that is there."""
    return DistillRecipe(kind="distill", base=str(base), **({"name": "probe"} | fields))


def changed(recipe: DistillRecipe, **fields: Any) -> DistillRecipe:
    """A recipe with other values, checked."""
    return DistillRecipe.model_validate(recipe.model_dump() | fields)


_KILLED = """
import os, signal, sys
from pathlib import Path
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
recipe, out = DistillRecipe.model_validate_json(sys.argv[1]), Path(sys.argv[3])
run = Path(sys.argv[2]) if sys.argv[2] else None
def on_progress(what, step, steps):
    if step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
distill(recipe, run, out, on_progress=on_progress)
"""


def kill_at_step_5(recipe: DistillRecipe, run: Path | None, out: Path) -> None:
    """Train in another process, in which any warning is an error, until a signal that nothing can catch."""
    words = [sys.executable, "-W", "error", "-c", _KILLED, recipe.model_dump_json(), str(run or ""), str(out)]
    killed = subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
