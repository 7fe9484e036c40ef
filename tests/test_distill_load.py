"""A checkpoint that is damaged, half there or of another shape is one line; nothing is filled with random numbers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tenstep.distill.libraries import quiet
from tenstep.distill.load import load
from tenstep.distill.train import checkpoints
from tenstep.distill.train.run_card import RunCard
from tenstep.distill.train.tiny import build
from tenstep.schemas.errors import InputError, TrainingError

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    build(folder, ["The heart is normal."] * 3)
    return folder


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:10_000])


def half(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / WEIGHTS)
    save_file({name: weights[name] for name in list(weights)[::2]}, folder / WEIGHTS, metadata={"format": "pt"})


def shard_gone(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    places = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] *= 2
    (folder / "config.json").write_text(json.dumps(config))


def odd_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "mllama", "text_config": 5}')


@pytest.mark.parametrize("quantize", ["nf4", "none"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "damaged or incomplete"),
        (half, r"\d+ weights are missing, the first is"),
        (shard_gone, "damaged or incomplete"),
        (other_shape, "another shape|mismatched_sizes"),
        (odd_config, "config cannot be read"),
    ],
)
def test_a_bad_checkpoint_is_refused(
    base: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str, quantize: str
) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "spoiled"))
    spoil(folder)
    with quiet(), pytest.raises(TrainingError, match=message):
        load(str(folder), None, quantize)  # type: ignore[arg-type]  # one of the two literals


def test_folders_that_only_look_like_checkpoints_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-best").mkdir()
    assert checkpoints.last(tmp_path) is None
    assert (tmp_path / "checkpoint-best").is_dir()


def test_a_damaged_run_card_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no run_card\.json here"):
        RunCard.read(tmp_path)
    (tmp_path / "run_card.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        RunCard.read(tmp_path)
