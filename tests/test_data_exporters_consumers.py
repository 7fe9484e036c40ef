"""The loaders of LLaMA-Factory, ms-swift and axolotl, from their own wheels, read every row of our exports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from distill_parts import accepted_run, filmed
from tenstep.__main__ import main

pytestmark = pytest.mark.slow

STUDIES = 4
# the wheels alone, and what their loaders import; torchaudio and torchcodec are imported for audio only
WHEELS = ["llamafactory==0.9.5", "ms-swift==4.6.0", "axolotl==0.19.0"]
NEEDS = [
    "addict", "av", "attrs", "colorama", "dacite", "docstring-parser", "einops", "fire", "json-repair", "modelscope",
    "modelscope-hub", "omegaconf", "requests", "urllib3", "certifi", "idna", "charset-normalizer", "shtab",
    "simplejson", "sortedcontainers", "termcolor", "tyro", "zstandard", "cryptography", "cffi", "pyjwt",
]  # fmt: skip
LOADERS = {
    "llama-factory": """
from types import SimpleNamespace as Some
from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments
data = DataArguments(dataset_dir=".", dataset="tenstep_train")
model = Some(cache_dir=None, hf_hub_token=None, ms_hub_token=None, om_hub_token=None)
(one,) = get_dataset_list(data.dataset, data.dataset_dir)
rows = _load_single_dataset(one, model, data, Some(seed=0, do_train=True))
assert all(row["_images"] and row["_response"] for row in rows)
""",
    "ms-swift": """
from swift.dataset import load_dataset
rows, _ = load_dataset(["train.jsonl"], strict=True)
assert all(row["images"] and row["messages"][1]["content"] for row in rows)
""",
    "axolotl": """
from axolotl.processing_strategies import ProcessingStrategy
from datasets import load_dataset
strategy = ProcessingStrategy.__new__(ProcessingStrategy)
strategy.image_size, strategy.field_messages = None, ("messages",)
rows = strategy(list(load_dataset("json", data_files="train.jsonl")["train"]))
parts = [[set(part) for part in row["messages"][0]["content"]] for row in rows]
assert all(part == [{"type", "path"}, {"type", "text"}] for part in parts)
""",
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        "--only-binary=:all:",
    ]
    done = subprocess.run([*pip, "--target", folder, *WHEELS, *NEEDS], capture_output=True, text=True, timeout=500)
    if done.returncode:
        pytest.skip(f"the wheels cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    (folder / "torchaudio.py").write_text("")
    return folder


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_the_real_loader_reads_every_row(wheels: Path, tmp_path: Path, kind: str) -> None:
    run = accepted_run(filmed(tmp_path / "films", STUDIES), tmp_path / "run")
    assert main(["export", str(run), "--to", kind, "--out", str(tmp_path / "out")]) == 0
    environment = os.environ | {
        "PYTHONPATH": str(wheels),
        "DISABLE_VERSION_CHECK": "1",  # LLaMA-Factory's bound on transformers; its data code does not need it
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "MODELSCOPE_CACHE": str(tmp_path / "home"),
    }
    code = LOADERS[kind] + "print('rows', len(rows))\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "out", env=environment, capture_output=True, text=True, timeout=300
    )
    assert f"rows {STUDIES}" in done.stdout, done.stderr[-2000:]
