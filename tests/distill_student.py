"""A tiny student, briefly trained, once a session: what merging, inference and publishing start from."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from distill_parts import accepted_run, filmed, untrained
from tenstep.schemas.learning import Lora, Optimizer
from tenstep.schemas.study import DataClass

STUDIES, TOKENS = 6, 240


class Trained(NamedTuple):
    """Where its parts lie."""

    run: Path  # of the training
    studies: Path
    films: Path


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
