"""RadGraph-F1, RaTEScore and GREEN as RadEval computes them (Xu et al. 2025), with weights that are on this machine.

RadEval's packages pin others than ours, so it may live in an environment of its own. One process of it
(radeval_process.py) loads each model once and scores every text. Weights are looked for here, before it starts: what is
not there is an error, since RadEval itself would fetch it. An empty hypothesis scores 0 and is shown to no model.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ...schemas.errors import InputError
from ..load import sha256_of
from .external import Scores, run
from .measure import Pair

_PROCESS = Path(__file__).with_name("radeval_process.py")
_RADGRAPH = "radgraph-xl"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "weights.th")


class RadEval(NamedTuple):
    """Which scores, by the folders of their weights."""

    radgraph: Path | None = None  # with radgraph-xl/ as its archive unpacks: config.json, vocabulary/, weights.th
    ratescore: tuple[Path, Path] | None = None  # RaTE-NER-Deberta and BioLORD-2023-C, or others of their kind
    green: Path | None = None  # GREEN-radllama2-7b
    python: Path = Path(sys.executable)  # of the environment that has radeval

    def scores(self, pairs: Sequence[Pair]) -> Scores:
        """The scores of all pairs, in one process.

        Raises:
            InputError: weights or package are not there, or a score failed.
        """
        asked = {name: [str(folder) for folder in folders] for name, folders in self._folders()}
        about = {
            name: ", ".join(f"{folder.name} {_fingerprint(folder)}" for folder in folders)
            for name, folders in self._folders()
        }
        # -P: a file of ours next to it has the name of the package
        command = [str(self.python), "-P", str(_PROCESS), json.dumps({"folders": asked, "weights": about})]
        with TemporaryDirectory() as scratch:  # some scorers write where they run
            return run("RadEval", command, pairs, implementation="radeval", folder=Path(scratch), option=None)

    def _folders(self) -> Iterator[tuple[str, tuple[Path, ...]]]:
        if self.radgraph is not None:
            unpacked = self.radgraph if self.radgraph.name == _RADGRAPH else self.radgraph / _RADGRAPH
            yield "radgraph", (_checked(unpacked, "radgraph"),)
        if self.ratescore is not None:
            yield "ratescore", tuple(_checked(folder, "ratescore") for folder in self.ratescore)
        if self.green is not None:
            yield "green", (_checked(self.green, "green"),)


def _checked(folder: Path, option: str) -> Path:
    """The folder, if it holds a model, and no code that loading it would run."""
    config = folder / "config.json"
    if not config.is_file() or not _weights(folder):
        raise InputError(
            "no weights here (config.json, and *.safetensors, pytorch_model.bin or weights.th); nothing is fetched",
            file=folder,
            field=option,
        )
    for file in (config, folder / "tokenizer_config.json"):
        try:
            named = file.is_file() and "auto_map" in json.loads(file.read_text("utf-8"))
        except ValueError:
            raise InputError("is no JSON; fetch the weights again", file=file, field=option) from None
        if named:
            raise InputError("names code that loading it would run (auto_map), so it is not loaded", file=file)
    return folder.resolve()


def _weights(folder: Path) -> list[Path]:
    return sorted(file for pattern in _WEIGHTS for file in folder.glob(pattern))


def _fingerprint(folder: Path) -> str:
    return "+".join(sha256_of(file)[:12] for file in _weights(folder))
