"""The student's commands speak to nobody: whatever they look up or connect to is recorded, and is loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from distill_parts import accepted_run, changed, filmed, untrained
from tenstep.__main__ import main
from tenstep.distill.train.tracking import check_tracking
from tenstep.distill.train.train import distill
from tenstep.schemas.distill_recipe import DistillRecipe
from tenstep.schemas.errors import PolicyError
from tenstep.schemas.learning import Lora

# Runs commands in one process whose every lookup and connection is written down before it is made.
_RECORDED = """
import atexit, json, sys, time
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        address = args[1] if event in ("socket.connect", "socket.sendto") else args[0]
        seen.append([event, str(address)])
sys.addaudithook(hook)
from tenstep.__main__ import main
codes = [main(words) for words in json.loads(sys.argv[1])]
time.sleep(0.5)  # usage reports are sent by a thread
open(sys.argv[2], "w").write(json.dumps({"codes": codes, "seen": seen}))
"""
_LOOPBACK = ("127.", "('127.", "::1", "('::1", "localhost")


def test_no_command_of_the_student_looks_further_than_loopback(tmp_path: Path) -> None:
    store = filmed(tmp_path, 4)
    recipe = untrained(tmp_path / "base", [study.report for study in store], max_new_tokens=300, steps=2, batch=2)
    recipe = changed(recipe, lora=Lora(r=4, whole=("lm_head",)), report_to=("tensorboard",), kind="distill")
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe.model_dump(mode="json")))
    accepted_run(store, tmp_path / "run")
    student, image = str(tmp_path / "student"), str(tmp_path / "films" / "demo-00000" / "image.png")
    samples, merged = str(tmp_path / "samples"), str(tmp_path / "merged")
    lines = [
        ["distill", str(tmp_path / "recipe.yaml"), "--run", str(tmp_path / "run"), "--preflight"],
        ["distill", str(tmp_path / "recipe.yaml"), "--run", str(tmp_path / "run"), "--out", student],
        ["sample", student, "--studies", str(store.root), "--out", samples, "--max-new-tokens", "8"],
        ["evaluate", samples, "--implementation", "python", "--out", str(tmp_path / "evaluation")],
        ["merge", student, "--out", merged, "--rows", "1", "--agree", "0"],
        ["infer", image, "--model", merged, "--mode", "steps", "--max-new-tokens", "8"],
        ["publish", merged, "--license", "apache-2.0"],
    ]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "DO_NOT_TRACK"))}
    environment = outside | {"OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "hub")}
    words = [sys.executable, "-c", _RECORDED, json.dumps(lines), str(tmp_path / "seen.json")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "seen.json").read_text())
    assert found["codes"][:5] == [0] * 5 and found["codes"][6] == 0, done.stderr
    assert [one for one in found["seen"] if not one[1].startswith(_LOOPBACK)] == []


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "set WANDB_MODE=offline"),
        ({"WANDB_MODE": "online"}, "set WANDB_MODE=offline"),
        ({"WANDB_MODE": "offline", "WANDB_LOG_MODEL": "checkpoint"}, "WANDB_LOG_MODEL uploads checkpoints"),
        ({"WANDB_MODE": "offline", "WANDB_LOG_MODEL": "TRUE"}, "WANDB_LOG_MODEL uploads checkpoints"),
    ],
)
def test_restricted_weights_are_not_reported_to_other_peoples_servers(
    environment: dict[str, str], message: str
) -> None:
    recipe = DistillRecipe(kind="distill", name="probe", base="tiny", steps=1, report_to=("wandb",))
    with pytest.raises(PolicyError, match=message):
        check_tracking(recipe, restricted=True, environment=environment)


def test_a_restricted_run_that_would_report_stops_before_anything_is_written(tmp_path: Path) -> None:
    store = filmed(tmp_path, 2, data_class="restricted")
    recipe = DistillRecipe(kind="distill", name="probe", base="tiny", steps=1, report_to=("wandb",))
    with pytest.raises(PolicyError, match="wandb sends to its makers' servers"):
        distill(recipe, accepted_run(store, tmp_path / "run"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_external_metric_gets_texts_of_unknown_class_only_on_the_users_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"id": "a", "hypothesis": "Clear.", "reference": "The lungs are clear."}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "score.py").write_text(
        "import json, pathlib, sys\n"
        "pathlib.Path(__file__).with_name('asked').touch()\n"
        "for line in sys.stdin: print(json.dumps({'id': json.loads(line)['id'], 'score': 0.5}))\n"
    )
    command = f"Half={sys.executable} {tmp_path / 'score.py'}"
    words = ["evaluate", str(tmp_path / "pairs.jsonl"), "--implementation", "python", "--external", command]
    assert main([*words, "--out", str(tmp_path / "a")]) == 2
    assert "say so with --external-stays-local" in capsys.readouterr().err
    assert not (tmp_path / "asked").exists()
    assert main([*words, "--external-stays-local", "--out", str(tmp_path / "b")]) == 0
    assert "run on this machine alone" in (tmp_path / "b" / "evaluation.json").read_text()
