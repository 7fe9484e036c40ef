"""torchrun, two processes on a CPU: they end with the weights of one, and answer as one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from distill_parts import changed, recipe_on
from distill_student import base, run, store
from tenstep.__main__ import main
from tenstep.cli.app import parser
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.distill.adapter import WEIGHTS
from tenstep.distill.train.ranks import check_launch, of_the_network
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.train import distill
from tenstep.schemas.errors import TrainingError
from tenstep.schemas.learning import Lora, Optimizer

__all__ = ["base", "run", "store"]  # fixtures

# trains as the command does, and writes down what each process has learned
_RANK = """
import hashlib, os, sys
from pathlib import Path
from tenstep.__main__ import main
from tenstep.distill.train import train
seen = {}
build = train.trainers.build
def keep(*args, **named):
    seen["trainer"] = build(*args, **named)
    return seen["trainer"]
train.trainers.build = keep
code = main(sys.argv[2:])
digest = hashlib.sha256()
for name, weight in sorted(seen["trainer"].accelerator.unwrap_model(seen["trainer"].model).named_parameters()):
    if weight.requires_grad:
        digest.update(weight.detach().numpy().tobytes())
Path(sys.argv[1] + os.environ["RANK"]).write_text(digest.hexdigest())
sys.exit(code)
"""


def launch(words: list[str], node: int, port: int) -> "subprocess.Popen[str]":
    """One of two machines, both of which are this one."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1"]
    torchrun += ["--node_rank", str(node), "--master_addr", "127.0.0.1", "--master_port", str(port)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen([*torchrun, *words], env=environment, stdout=-1, stderr=-1, text=True)


@pytest.mark.slow
def test_two_machines_train_as_one_with_twice_the_accumulation_in_a_shared_folder_and_not_in_two(
    base: Path, run: Path, tmp_path: Path
) -> None:
    recipe = recipe_on(
        base,
        steps=4,
        batch=2,
        accumulate=1,
        save_every=2,
        log_every=1,
        max_new_tokens=300,
        lora=Lora(r=4, whole=("lm_head",)),
        optimizer=Optimizer(name="adamw_torch", learning_rate=1e-3),
        report_to=(),
    )
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    (tmp_path / "rank.py").write_text(_RANK)
    words = ["distill", str(tmp_path / "recipe.yaml"), "--run-folder", str(run), "--out"]
    ranks = [str(tmp_path / "rank.py"), str(tmp_path / "rank"), *words, str(tmp_path / "two")]
    nodes = [launch(ranks, node, free_port) for free_port in (port(),) for node in (0, 1)]
    said = [node.communicate(timeout=240) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    assert "distill" in said[0][0] and said[1][0] == ""  # the first speaks for both
    assert (tmp_path / "rank0").read_text() == (tmp_path / "rank1").read_text()
    checkpoint = tmp_path / "two" / "checkpoints" / "checkpoint-4"
    assert {f"rng_state_{rank}.pth" for rank in (0, 1)} <= {file.name for file in checkpoint.iterdir()}

    one = distill(changed(recipe, accumulate=2), run, tmp_path / "one")
    two = RunCard.read(tmp_path / "two")
    assert (one.processes, two.processes) == (1, 2)
    assert two.finished and two.adapter_sha256
    assert [loss.loss for loss in two.losses] == pytest.approx([loss.loss for loss in one.losses], rel=1e-3)

    from safetensors.numpy import load_file

    ours, theirs = (load_file(tmp_path / name / "adapter" / WEIGHTS) for name in ("one", "two"))
    assert ours.keys() == theirs.keys()
    assert max(float(abs(ours[name] - theirs[name]).max()) for name in ours) < 2e-3

    own = [["-m", "tenstep", *words, str(tmp_path / f"own{node}")] for node in (0, 1)]
    nodes = [launch(own[node], node, at) for at in (port(),) for node in (0, 1)]
    said = [node.communicate(timeout=240) for node in nodes]
    assert all(node.returncode for node in nodes)
    assert "process 1 of 2 does not see what the first process wrote here" in said[1][1]


@pytest.mark.slow
def test_two_processes_answer_as_one(
    base: Path, store: StudyStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", str(base), "--studies", str(store.root), "--limit", "5", "--max-new-tokens", "12"]
    words += ["--temperature", "0.7", "--answers", "2", "--batch", "2", "--json"]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    said = [capsys.readouterr().out]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "tenstep"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    two = [*torchrun, *words, "--out", str(tmp_path / "two")]
    done = subprocess.run(two, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    said.append(done.stdout)  # the other process prints nothing
    assert [json.loads(one)["samples"] for one in said] == [10, 10]
    texts = []
    for name in ("one", "two"):
        with RunFolder.read(tmp_path / name) as run:
            texts.append({one.candidate.key: one.candidate.text for one in run.judged()})
    assert texts[0] == texts[1] and len(texts[0]) == 10


def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_sharding_is_refused_in_one_line() -> None:
    check_launch({})
    with pytest.raises(TrainingError, match="FSDP is switched on"):
        check_launch({"ACCELERATE_USE_FSDP": "true"})


def test_the_launch_file_of_accelerate_is_two_nodes_of_eight() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    path = Path(__file__).parent.parent / "examples" / "accelerate" / "two-nodes-of-eight.yaml"
    found = load_config_from_file(str(path))
    assert (found.num_machines, found.num_processes, str(found.distributed_type)) == (
        2,
        16,
        "DistributedType.MULTI_GPU",
    )
    first = path.read_text().splitlines()[0]
    words = first.partition(" -m tenstep ")
    assert words[0].startswith(f"# accelerate launch --config_file {path.relative_to(path.parents[2])}")
    assert parser().parse_args(words[2].split()).recipe.is_file()


def test_only_errors_of_the_network_blame_the_other_process() -> None:
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer [10.77.0.3]:644.")
    assert of_the_network(lost) and of_the_network(torch.distributed.DistNetworkError("no answer"))
    assert not of_the_network(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
