"""What is made once a session, for tests that only read it: phantoms with their run, and trained students."""

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from distill_parts import accepted_run, filmed, untrained
from tenstep.__main__ import main
from tenstep.data.demo.folders import write_folders
from tenstep.data.store.studies import StudyStore
from tenstep.distill.train.tiny import build
from tenstep.schemas.learning import Lora, Optimizer
from tenstep.schemas.study import DataClass

STUDIES, TOKENS = 6, 240
RECIPES = Path(str(resources.files("tenstep").joinpath("data", "demo")))


class Trained(NamedTuple):
    """Where its parts lie."""

    run: Path  # of the training
    studies: Path
    films: Path


class Phantoms(NamedTuple):
    """Eight studies, all accepted."""

    films: Path
    store: StudyStore
    run: Path
    base: Path  # an untrained student whose tokenizer has read their reports


PHANTOMS = 8


def _part(name: str) -> Any:
    """A fixture: one part of the phantoms."""

    @pytest.fixture(scope="session", name=name)
    def part(tmp_path_factory: pytest.TempPathFactory) -> Any:
        return getattr(_phantoms(tmp_path_factory.getbasetemp()), name)

    return part


films, store, run, base = map(_part, Phantoms._fields)


@cache
def _phantoms(folder: Path) -> Phantoms:
    place = folder / "phantoms"
    place.mkdir()
    found = filmed(place, PHANTOMS)
    build(place / "tiny", [study.report for study in found])
    return Phantoms(place / "films", found, accepted_run(found, place / "run"), place / "tiny")


class DemoStudent(NamedTuple):
    """The demo's student."""

    folder: Path  # of the training
    said: dict[str, Any]  # by `tenstep distill --json`


def tenstep(*words: str | Path) -> dict[str, Any]:
    """Run a command and read its JSON."""
    out = Path(words[words.index("--out") + 1])
    said = out.with_name(f"{out.name}.{words[0]}.json")
    assert main([*map(str, words), "--json", str(said)]) == 0
    found = json.loads(said.read_text("utf-8"))
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="session")
def demo_student(tmp_path_factory: pytest.TempPathFactory) -> DemoStudent:
    """Trained as `tenstep demo` does, on as many films."""
    return _demo_student(tmp_path_factory.getbasetemp() / "demo")


@cache
def _demo_student(folder: Path) -> DemoStudent:
    write_folders(folder / "films", 400, defects=False)
    form = ("--form", "four-header", "--data-class", "public")
    tenstep("ingest", "folders", folder / "films", *form, "--out", folder / "studies")
    tenstep("curate", RECIPES / "curate.yaml", "--studies", folder / "studies", "--out", folder / "curated")
    words = ("distill", RECIPES / "distill.yaml", "--run", folder / "curated", "--out", folder / "student")
    return DemoStudent(folder / "student", tenstep(*words))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained on public films."""
    return _trained(tmp_path_factory.getbasetemp(), "public", 24)


@pytest.fixture(scope="session")
def restricted(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained, for two steps, on films that are called restricted."""
    return _trained(tmp_path_factory.getbasetemp(), "restricted", 2)


@cache  # a session fixture that several files import is made once a file
def _trained(base: Path, data_class: DataClass, steps: int) -> Trained:
    from tenstep.distill.train.train import distill

    folder = base / f"student-{data_class}"
    folder.mkdir()
    store = filmed(folder, STUDIES, data_class=data_class)
    recipe = untrained(
        folder / "base",
        [study.report for study in store],
        steps=steps,
        batch=4,
        save_every=steps,
        log_every=1,
        max_new_tokens=TOKENS,
        report_to=(),
        lora=Lora(r=8, parts=("vision", "language"), whole=("lm_head",)),
        optimizer=Optimizer(learning_rate=4e-3),
    )
    distill(recipe, accepted_run(store, folder / "run"), folder / "student")
    return Trained(folder / "student", folder / "studies", folder / "films")
