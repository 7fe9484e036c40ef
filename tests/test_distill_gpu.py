"""On CUDA: the tiny student goes the whole way there, and the backend that is chosen is the one that trains."""

from pathlib import Path

import pytest
from distill_parts import accepted_run, filmed, untrained
from tenstep.distill.sample import plan, sample
from tenstep.distill.train.train import distill
from tenstep.schemas.learning import Lora


def cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


@pytest.mark.gpu
@pytest.mark.skipif(not cuda(), reason="needs CUDA")
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_student_is_trained_and_asked_on_cuda(tmp_path: Path, checkpointing: bool) -> None:
    store = filmed(tmp_path, 8)
    recipe = untrained(
        tmp_path / "tiny",
        [study.report for study in store],
        backend="hf",
        steps=10,
        log_every=1,
        max_new_tokens=600,
        gradient_checkpointing=checkpointing,
        lora=Lora(r=8, parts=("vision", "language"), whole=("lm_head",)),
    )
    card = distill(recipe, accepted_run(store, tmp_path / "run"), tmp_path / "out")
    assert "CUDA" in card.hardware and card.losses[-1].loss < card.losses[0].loss
    assert card.preflight.memory.card_mb
    asked = plan(tmp_path / "out", name="s", temperatures=[0.0], n=1, max_new_tokens=16, limit=4, seed=0)
    assert sample(asked, store, tmp_path / "samples", batch=4).counts["attempts"] == 4
