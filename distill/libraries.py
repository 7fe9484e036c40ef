"""The student's libraries: whether they are installed, and how they are kept quiet: on the terminal and on the network.

Errors are untouched, and a warning that is not listed here is still seen. Usage reports ("telemetry") are switched off
before the libraries are imported, because they read their switches then: TRL would call the hub at every training.
"""

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from ..schemas.errors import MissingExtraError

NAMES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets", "tokenizers")

# of torchvision's operators, those that it describes when it is imported, whether or not it could load them
_OPERATORS = ("nms", "qnms")
_declared: list[Any] = []  # a declaration lasts as long as its object

_NO_TELEMETRY = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}

# Between the libraries themselves: nothing here, and nothing that a user does, can make them go away.
_NOTICES: tuple[tuple[type[Warning], str], ...] = (
    (FutureWarning, "`is_gradient_checkpointing` is deprecated"),  # peft asks transformers by the old name
    (FutureWarning, "`hidden_state` is deprecated"),  # transformers 5.17 calls its own layers by the old name
    (DeprecationWarning, "__array_wrap__ must accept"),  # transformers 5.17 gives a tensor of InternVL's to numpy 2
)


@contextlib.contextmanager
def quiet(first: str | None = None) -> Iterator[None]:
    """Within the block the libraries are there, their loggers speak of errors only, and no progress bars are drawn.

    Args:
        first: a library that must be imported before the others.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    disable_telemetry()
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [logger.level for logger in loggers]
    try:
        _hush(loggers)  # bitsandbytes complains on import of a kernel that a CPU does without
        _import(first)
        _hush(loggers)  # transformers sets its level on import
        with warnings.catch_warnings(), _no_bars():
            for category, message in _NOTICES:
                warnings.filterwarnings("ignore", message, category)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def disable_telemetry() -> None:
    """Switch off the libraries' usage reports, for this process and those it starts."""
    os.environ.update(_NO_TELEMETRY)
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:  # `datasets` may have imported it before
        constants.HF_HUB_DISABLE_TELEMETRY = True  # type: ignore[attr-defined]  # a plain module to mypy


def _hush(loggers: Iterable[logging.Logger]) -> None:
    for logger in loggers:
        logger.setLevel(logging.ERROR)


def _import(first: str | None) -> None:
    try:
        if first is not None:
            importlib.import_module(first)
        importlib.import_module("torch")
        import_torchvision()
        for name in ("transformers", "trl", "peft", "bitsandbytes"):
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError("distill", f"the student ({error.name})") from None


def import_torchvision() -> None:
    """Import torchvision where it is installed, before transformers does.

    The one on PyPI is compiled for CUDA. Beside a CPU build of torch its compiled half cannot be loaded, and the import
    stops at operators that are then unknown. Once these are declared (nothing here calls them) the rest works: image
    transforms in Python, which is what processors use.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        import torch

        library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch's own
        for name in _OPERATORS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
        importlib.import_module("torchvision")


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    from transformers.utils import logging as hf

    bars = hf.is_progress_bar_enabled()
    hf.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            hf.enable_progress_bar()
