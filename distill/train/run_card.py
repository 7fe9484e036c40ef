"""The run card: what a training run did, written by the run itself."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from ...data.files import replace_text
from ...data.memory import peak_megabytes
from ...schemas.base import Noun, Record, Sha256
from ...schemas.errors import InputError, why
from ...schemas.version import __version__
from ..libraries import NAMES
from .answers import HeldOut
from .preflight import Preflight

FILE = "run_card.json"


class Loss(Noun):
    """A logged loss, the mean since the one before."""

    step: int = Field(description="Optimizer step.")
    loss: float = Field(description="Mean over the target's tokens, in nats.")
    learning_rate: float = Field(description="At this step.")
    others: Mapping[str, float] = Field(
        default_factory=dict, description="What the method watches besides: margins of pairs, rewards of answers."
    )


class ValidationLoss(Noun):
    """The validation loss after a step."""

    step: int = Field(description="Optimizer step.")
    loss: float = Field(description="Mean over the target's tokens, in nats.")


class TrainingSession(Noun):
    """One start of the process; a run that was killed has several."""

    from_step: int = Field(description="Steps that were there already.")
    started: str = Field(description="ISO 8601, UTC.")
    seconds: float = Field(0.0, description="Until the last checkpoint or the end.")


class RunCard(Record):
    """Written at the start, updated at every checkpoint, completed last."""

    recipe: Mapping[str, Any] = Field(description="Resolved.")
    recipe_sha256: Sha256 = Field(description="Of the resolved recipe.")
    base: str = Field(description="Folder or hub name of the base.")
    base_sha256: Sha256 = Field(description="Of the base's files; of name and commit for one on the hub.")
    data_sha256: Sha256 = Field(description="Of the examples: keys, targets and image hashes, in order.")
    prompt_sha256: Sha256 = Field(description="Of the prompt file.")
    code_version: str = Field(__version__, description="Version of tenstep.")
    code_sha256: Sha256 = Field(description="Of the source that ran.")
    libraries: Mapping[str, str] = Field(description="Versions by name.")
    hardware: str = Field(description="GPU or processor.")
    processes: int = Field(1, description="Started by torchrun; each takes batches of its own.")
    backend: str = Field(description="Which, and why it was chosen.")
    loaded: str | None = Field(None, description="What the library says it loaded, with its commit.")
    preflight: Preflight = Field(description="What was checked before the first step.")
    steps: int = Field(description="Optimizer steps in all.")
    sessions: tuple[TrainingSession, ...] = Field(description="Starts of the process.")
    losses: tuple[Loss, ...] = Field((), description="Every `log_every` steps.")
    evaluations: tuple[ValidationLoss, ...] = Field((), description="Validation losses, every `save_every` steps.")
    held_out: tuple[HeldOut, ...] = Field(
        (), description="Answers about held-out studies before and after training by reward."
    )
    signs: tuple[str, ...] = Field((), description="What in them speaks against the student.")
    best_step: int | None = Field(None, description="The step whose adapter was kept, with a validation set.")
    peak_memory_mb: float | None = Field(None, description="Of the device on CUDA, else of the process.")
    adapter_sha256: Sha256 | None = Field(None, description="Of the trained adapter.")
    finished: str | None = Field(None, description="ISO 8601, UTC; none for a run that did not finish.")

    @property
    def seconds(self) -> float:
        """Of all sessions."""
        return round(sum(session.seconds for session in self.sessions), 1)

    def write(self, folder: Path) -> None:
        """Write the card; a reader never sees half of it."""
        replace_text(folder / FILE, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "RunCard":
        """Read a folder's card.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except FileNotFoundError:
            raise InputError(
                f"there is no {FILE} here; is this what tenstep distill or merge wrote?", file=folder
            ) from None
        except (OSError, ValidationError) as error:
            raise InputError(f"damaged ({why(error)}); restore it from a copy", file=folder / FILE) from None


def code() -> str:
    """SHA-256 of this room's and the nouns' source: the version alone does not tell an edited checkout."""
    rooms = [Path(__file__).parents[2] / room for room in ("distill", "schemas", "data")]
    digest = hashlib.sha256()
    for room in rooms:
        for file in sorted(room.rglob("*.py")):
            digest.update(f"{room.name}/{file.relative_to(room)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions that decide what training does."""
    return {name: importlib.metadata.version(name) for name in NAMES}


def hardware() -> str:
    """The device in words."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return f"CPU {platform.machine()}, {torch.get_num_threads()} thread(s)"


def peak_memory_mb() -> float:
    """Highest so far."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return round(peak_megabytes(), 1)
