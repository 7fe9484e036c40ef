"""A student's shape: its classes and sizes on the meta device, without weights, so that an 11B model costs nothing.

The checkpoint's own config says the shape, from its folder or the hub's local cache; nothing is fetched. Where it is
not at hand, a checkpoint that bears the name Llama-3.2-11B-Vision-Instruct, or of which a recipe says that it has that
shape, is counted on the one that ships here (students/llama-3.2-11b-vision.json).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..schemas.errors import TrainingError
from .student import Student, student_of

SHIPPED = "Llama-3.2-11B-Vision-Instruct"
_FILE = Path(__file__).parent / "students" / "llama-3.2-11b-vision.json"


@dataclass(frozen=True)
class Shape:
    """A model without weights.

    Args:
        model: on the meta device.
        student: its family.
        name: whose shape it is.
        own: whether it is the checkpoint's, not the one that ships.
    """

    model: Any
    student: Student
    name: str
    own: bool


def shape_of(base: str, revision: str | None, shipped: str | None = None) -> Shape | None:
    """The shape of a checkpoint; the shipped one, if the checkpoint is not at hand and known to be of it; else none.

    A checkpoint is never counted on another family's shape.

    Args:
        base: a folder or hub name.
        revision: of a hub checkpoint.
        shipped: the shipped shape that the recipe says it has.

    Raises:
        TrainingError: the checkpoint is of an unknown family.
    """
    config = _config(base, revision)
    own = config is not None
    if config is None and SHIPPED not in (shipped, Path(base).name):
        return None
    config = config or shipped_config()
    student = student_of(config.model_type)
    return Shape(on_meta(config), student, base if own else SHIPPED, own)


def shipped_config() -> Any:
    """The config of the 11B model, in full."""
    from transformers import AutoConfig

    fields = json.loads(_FILE.read_text("utf-8"))
    return AutoConfig.for_model(fields.pop("model_type"), **fields)


def on_meta(config: Any) -> Any:
    """A model of a config, without memory for its weights."""
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(config)
    return model


def processor_of(base: str, revision: str | None) -> Any | None:
    """A checkpoint's processor, if it is in a folder or the local cache.

    Raises:
        TrainingError: it is, and cannot be loaded: it wants torchvision, say.
    """
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(base, revision=revision, trust_remote_code=False, local_files_only=True)
    except OSError:  # what the libraries raise for files that are not here
        return None
    except (ValueError, ImportError) as error:
        raise TrainingError(f"the checkpoint's processor cannot be loaded: {error}", file=base) from None


def _config(base: str, revision: str | None) -> Any | None:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(base, revision=revision, trust_remote_code=False, local_files_only=True)
    except OSError:
        return None
