"""torchrun: two processes on a CPU end with one set of weights, that of one process with twice the accumulation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from distill_parts import accepted_run, changed, filmed, untrained
from tenstep.distill.adapter import WEIGHTS
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.learning import Lora, Optimizer

_RANK = """
import hashlib, os, sys
from pathlib import Path
from tenstep.distill.train import train
from tenstep.schemas.recipe import DistillRecipe
recipe, run, out = DistillRecipe.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
seen = {}
build = train.trainers.build
def keep(*args, **named):
    seen["trainer"] = build(*args, **named)
    return seen["trainer"]
train.trainers.build = keep
train.distill(recipe, run, out)
digest = hashlib.sha256()
for name, weight in sorted(seen["trainer"].accelerator.unwrap_model(seen["trainer"].model).named_parameters()):
    if weight.requires_grad:
        digest.update(weight.detach().numpy().tobytes())
Path(sys.argv[4] + os.environ["RANK"]).write_text(digest.hexdigest())
"""


@pytest.mark.slow
def test_two_processes_train_as_one_with_twice_the_accumulation(tmp_path: Path) -> None:
    run = accepted_run(filmed(tmp_path, 8), tmp_path / "run")
    recipe = untrained(
        tmp_path / "tiny",
        ["The heart is normal.", "There is a small left pleural effusion."] * 3,
        steps=4,
        batch=2,
        accumulate=1,
        save_every=2,
        log_every=1,
        max_new_tokens=1500,
        lora=Lora(r=4, whole=("lm_head",)),
        optimizer=Optimizer(name="adamw_torch", learning_rate=1e-3),
        report_to=(),
    )
    script = tmp_path / "rank.py"
    script.write_text(_RANK)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words += [str(script), recipe.model_dump_json(), str(run), str(tmp_path / "two"), str(tmp_path / "rank")]
    done = subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert (tmp_path / "rank0").read_text() == (tmp_path / "rank1").read_text()

    one = distill(changed(recipe, accumulate=2), run, tmp_path / "one")
    two = RunCard.read(tmp_path / "two")
    assert (one.processes, two.processes) == (1, 2)
    assert two.finished and two.adapter_sha256
    assert [loss.loss for loss in two.losses] == pytest.approx([loss.loss for loss in one.losses], rel=1e-3)

    from safetensors.numpy import load_file

    ours, theirs = (load_file(tmp_path / name / "adapter" / WEIGHTS) for name in ("one", "two"))
    assert ours.keys() == theirs.keys()
    assert max(float(abs(ours[name] - theirs[name]).max()) for name in ours) < 2e-3
