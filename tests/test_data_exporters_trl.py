"""TRL trains two steps on what the `trl` exporter wrote, with its own collator: no code of ours in between."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from distill_parts import accepted_run, filmed
from tenstep.__main__ import main
from tenstep.distill.train.tiny import build
from tiny_students import build_gemma3

pytest.importorskip("trl")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trl")
    run = accepted_run(filmed(folder / "films", 4), folder / "run")
    assert main(["export", str(run), "--to", "trl", "--out", str(folder / "dataset")]) == 0
    return folder / "dataset"


@pytest.mark.filterwarnings("ignore::FutureWarning")  # trl 1.16 sets what transformers 5.23 deprecates
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("form", "make"),
    [
        ("prompt_completion", build_gemma3),
        # the processor of mllama makes its cross-attention mask for a whole text: TRL joins prompt and completion later
        ("messages", build),
    ],
)
def test_trl_trains_on_it(dataset: Path, tmp_path: Path, form: str, make: Any) -> None:
    from tenstep.distill.libraries import quiet
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from trl import SFTConfig, SFTTrainer

    spec = importlib.util.spec_from_file_location("load", dataset / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.load(form)["train"]
    turns = [turn for row in rows for key in ("prompt", "completion", "messages") for turn in row.get(key, ())]
    make(tmp_path / "base", [line for turn in turns for line in turn["content"].splitlines()])
    settings = SFTConfig(
        output_dir=str(tmp_path / "out"), max_steps=2, per_device_train_batch_size=2, report_to=[], max_length=None,
        use_cpu=True, bf16=False, save_strategy="no",
    )  # fmt: skip
    with quiet():
        trainer = SFTTrainer(
            model=AutoModelForImageTextToText.from_pretrained(tmp_path / "base"),
            processing_class=AutoProcessor.from_pretrained(tmp_path / "base"),
            train_dataset=rows,
            args=settings,
        )
        assert trainer.train().metrics["train_loss"] > 0
