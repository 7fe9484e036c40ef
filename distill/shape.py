"""A student's shape: its classes and sizes on the meta device, without weights, so that an 11B model costs nothing.

The checkpoint's own config says the shape, from its folder or the hub's local cache; nothing is fetched. Where it is
not at hand, a checkpoint whose name is that of a shape which ships here (students/*.json), or of which a recipe says
that it has that shape, is counted on it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..schemas.errors import MissingExtraError, TrainingError
from . import students
from .student import Student, student_of

LLAMA = "Llama-3.2-11B-Vision-Instruct"
_SHAPES = Path(students.__file__).parent


@dataclass(frozen=True)
class ModelShape:
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


def shape_of(base: str, revision: str | None, shipped: str | None = None) -> ModelShape | None:
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
    name = base
    if config is None:
        known = next((one for one in (shipped, Path(base).name) if one in shipped_shapes()), None)
        if known is None:
            return None
        name, config = known, shipped_config(known)
    return ModelShape(on_meta(config), student_of(config.model_type), name, own)


def shipped_shapes() -> list[str]:
    """The checkpoints whose shapes ship here, by name."""
    return sorted(file.stem for file in _SHAPES.glob("*.json"))


def shipped_config(name: str = LLAMA) -> Any:
    """The config of such a checkpoint, with what decides its shape."""
    from transformers import AutoConfig

    fields = json.loads((_SHAPES / f"{name}.json").read_text("utf-8"))
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
        TrainingError, MissingExtraError: it is, and cannot be loaded.
    """
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(base, revision=revision, trust_remote_code=False, local_files_only=True)
    except OSError:  # what the libraries raise for files that are not here
        return None
    except (ValueError, ImportError) as error:
        raise no_processor(error, base) from None


def no_processor(error: Exception, base: str) -> TrainingError | MissingExtraError:
    """Why a processor could not be loaded: a library that some processors want is missing, or something else."""
    line = " ".join(str(error).split())[:300]
    if "torchvision" in line.lower():
        return MissingExtraError("torchvision", "torchvision, which this student's processor needs,")
    return TrainingError(f"the checkpoint has no processor that can be loaded: {line}", file=base)


def _config(base: str, revision: str | None) -> Any | None:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(base, revision=revision, trust_remote_code=False, local_files_only=True)
    except OSError:
        return None
