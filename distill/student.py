"""What this room must know of a model family, and how a family is found by its model type.

A family is one file in distill/students, named for `model_type` in the checkpoint's config.json, with one name,
`STUDENT`. Everything else (chat template, image tokens, tiles) is asked of the checkpoint's own processor.
"""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from ..schemas import plugins
from ..schemas.errors import TrainingError

Part = Literal["vision", "projector", "language", "head"]
_LAYER = re.compile(r"\.(?:layers?|blocks)\.(\d+)\.")
_KIND = re.compile(r"\.(?:(self_attn|cross_attn|attn|attention)|mlp)\.")

HEAD = "lm_head"


@dataclass(frozen=True)
class Student:
    """A model family.

    Args:
        model_type: as config.json has it.
        parts: where the names of each part's modules begin, e.g. {"vision": "model.vision_model."}; the first that
            fits counts.
    """

    model_type: str
    parts: Mapping[Part, str | tuple[str, ...]]

    def part_of(self, module: str) -> Part:
        """The part that a module or parameter belongs to, by its name in the bare model.

        Raises:
            TrainingError: it lies in none of them; counts by part would be wrong.
        """
        for part, prefix in self.parts.items():
            if module.startswith(prefix):
                return part
        raise TrainingError(f"'{module}' belongs to no known part of {self.model_type}")


def llava_like(model_type: str) -> Student:
    """A family with the modules of LLaVA: a tower, a projector, and a language model that reads what it projects."""
    return Student(
        model_type,
        {
            "vision": "model.vision_tower.",
            "projector": ("model.multi_modal_projector", "model.image_newline"),
            "language": "model.language_model.",
            "head": HEAD,
        },
    )


def idefics_like(model_type: str) -> Student:
    """A family with the modules of Idefics 3: a tower, a connector, and a text model."""
    return Student(
        model_type,
        {
            "vision": "model.vision_model.",
            "projector": "model.connector",
            "language": "model.text_model.",
            "head": HEAD,
        },
    )


def qwen_like(model_type: str) -> Student:
    """A family with the modules of Qwen-VL, whose mergers (the projector) lie inside the tower."""
    return Student(
        model_type,
        {
            "projector": ("model.visual.merger", "model.visual.deepstack_merger_list"),
            "vision": "model.visual.",
            "language": "model.language_model.",
            "head": HEAD,
        },
    )


def layer_of(module: str) -> int | None:
    """The number of the layer that a module lies in, from 0 at the input."""
    found = _LAYER.search(module)
    return int(found[1]) if found else None


def kind_of(module: str) -> Literal["attention", "mlp"] | None:
    """Whether a module is part of attention (self or cross) or of a feed-forward block."""
    found = _KIND.search(module)
    return None if found is None else "attention" if found[1] else "mlp"


def student_of(model_type: str) -> Student:
    """The family of a model type.

    Raises:
        TrainingError: no file of distill/students and no plugin knows it.
    """
    from . import students

    own = [name for _, name, _ in pkgutil.iter_modules(students.__path__)]
    others = plugins.names("students", own)
    if model_type in others:
        return cast(Student, plugins.load("students", model_type).STUDENT)
    if model_type not in own:
        known = sorted((*own, *others))
        raise TrainingError(f"no student family for model type '{model_type}'; there are: {', '.join(known)}")
    return cast(Student, importlib.import_module(f".{model_type}", students.__name__).STUDENT)
