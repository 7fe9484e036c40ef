"""`tenstep attribute`: losses are the model's own, the adapter is what differs, and groups are means."""

import json
import math
from pathlib import Path

import pytest
from distill_student import STUDIES, Trained, restricted, trained
from tenstep.__main__ import main
from tenstep.data.attribution import read_attribution
from tenstep.distill import adapter
from tenstep.distill.attribute import attribute, row_losses
from tenstep.distill.libraries import quiet
from tenstep.distill.pixels import open_image
from tenstep.distill.train.collator import CompletionCollator
from tenstep.distill.train.examples import pool
from tenstep.distill.train.rows import rows_of

__all__ = ["restricted", "trained"]  # fixtures


def curated(trained: Trained) -> Path:
    return trained.run.parent / "run"


def test_training_lowers_the_loss_of_what_was_trained_on(trained: Trained) -> None:
    found = attribute(curated(trained), trained.run)
    assert len(found.rows) == STUDIES and [row.rank for row in found.rows] == list(range(1, STUDIES + 1))
    assert all(row.after < row.before for row in found.rows)
    assert [row.after for row in found.rows] == sorted((row.after for row in found.rows), reverse=True)
    everything = found.groups["outcome"]["accept"]
    assert everything.rows == STUDIES
    assert everything.after == pytest.approx(sum(row.after for row in found.rows) / STUDIES, abs=1e-4)
    assert found.auc is None  # nothing was rejected, so there is nothing to tell apart


def test_a_rows_loss_is_the_models_and_does_not_depend_on_its_batch(trained: Trained) -> None:
    folder = adapter.find(trained.run)
    card, prompt = adapter.describe(folder)
    rows = rows_of(list(pool(curated(trained), "first")), prompt)
    with quiet():
        loaded = adapter.load_student(folder, card)
        collate = CompletionCollator(loaded.processor, None, open_image)
        together = row_losses(loaded, collate, rows)
        for row, loss in zip(rows[:2], together, strict=False):
            assert float(loaded.model(**collate([row])).loss) == pytest.approx(loss, rel=1e-3)
    assert all(math.isfinite(loss) for loss in together)


def test_the_command_writes_every_row(trained: Trained, tmp_path: Path) -> None:
    assert main(["attribute", str(curated(trained)), str(trained.run), "--out", str(tmp_path / "out")]) == 0
    assert len(read_attribution(tmp_path / "out")) == STUDIES
    rows = [json.loads(line) for line in (tmp_path / "out" / "attribution.jsonl").read_text().splitlines()]
    assert len(rows) == STUDIES and rows[0]["rank"] == 1 and rows[0]["author"]
    assert json.loads((tmp_path / "out" / "attribution.json").read_text())["groups"]["attempt"]["1"]["rows"] == STUDIES
