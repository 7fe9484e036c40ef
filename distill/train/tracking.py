"""Where losses are reported: TensorBoard, which is ours and stays in the run's folder, and Weights & Biases.

wandb sends what it is given to its makers' servers. Losses and the recipe are no data, but with WANDB_LOG_MODEL its
callback uploads whole checkpoints, and it records what the terminal shows. A run on restricted data therefore uses it
offline only, and never with WANDB_LOG_MODEL.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import MissingExtraError, PolicyError


def check_tracking(recipe: DistillRecipe, *, restricted: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a tracker that would send restricted data, or weights trained on it, somewhere else.

    Args:
        recipe: with `report_to`.
        restricted: whether any example is.
        environment: where wandb reads its switches.

    Raises:
        PolicyError: it would; says which switch to set.
        MissingExtraError: wandb is not installed.
    """
    if "wandb" not in recipe.report_to:
        return
    uploads = environment.get("WANDB_LOG_MODEL", "false").strip().lower() not in ("", "0", "false", "no", "off")
    if restricted and uploads:
        raise PolicyError(
            "WANDB_LOG_MODEL uploads checkpoints, and these are trained on restricted data; unset it", field="report_to"
        )
    if restricted and environment.get("WANDB_MODE", "online").strip().lower() not in ("offline", "disabled"):
        raise PolicyError(
            "the data is restricted and wandb sends to its makers' servers; set WANDB_MODE=offline, or report to "
            "tensorboard only",
            field="report_to",
        )
    if importlib.util.find_spec("wandb") is None:
        raise MissingExtraError("wandb", "wandb")


def services(recipe: DistillRecipe) -> list[str]:
    """The trackers that the trainer reports to itself; TensorBoard is added by `board`."""
    return ["wandb"] if "wandb" in recipe.report_to else []


def board(folder: Path, *, from_step: int) -> Any:
    """A callback that writes for TensorBoard; what an interrupted run wrote after `from_step` is removed."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return TensorBoardCallback(SummaryWriter(str(folder), purge_step=from_step + 1))
