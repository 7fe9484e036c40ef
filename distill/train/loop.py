"""The steps of a training run: losses and checkpoints into the run card, and the best adapter kept."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import TrainingError, why
from .. import adapter
from . import checkpoints
from .callbacks import VALIDATION, Stop, check_finite, exhausted, follow, validation_losses
from .folder import BOARD, CHECKPOINTS
from .ranks import Ranks, of_the_network
from .run_card import Loss, RunCard, ValidationLoss, peak_memory_mb
from .tracking import board

OnProgress = Callable[[str, int, int], object]


def run(
    recipe: DistillRecipe,
    trainer: Any,
    card: RunCard,
    out: Path,
    at: Path | None,
    ranks: Ranks,
    on_progress: OnProgress,
    longest: int,
) -> RunCard:
    """Train to the end; the card is updated at every checkpoint."""
    import torch

    since = time.monotonic()

    def now() -> RunCard:
        session = card.sessions[-1].model_copy(update={"seconds": round(time.monotonic() - since, 2)})
        return card.model_copy(
            update={"sessions": (*card.sessions[:-1], session), "peak_memory_mb": peak_memory_mb(), **_history(trainer)}
        )

    def on_save(step: int) -> None:
        ranks.wait()  # until every process has written its part
        if ranks.first:
            checkpoints.mark(out / CHECKPOINTS / f"{checkpoints.PREFIX}{step}")
            now().write(out)

    stop = Stop()
    trainer.add_callback(follow(lambda step: on_progress("train", step, card.steps), on_save, recipe.patience, stop))
    if ranks.first:
        card.write(out)
        if "tensorboard" in recipe.report_to:
            trainer.add_callback(board(out / BOARD, from_step=card.sessions[-1].from_step))
    try:
        if not _stopped(trainer, at, recipe.patience):
            with stop:
                trainer.train(resume_from_checkpoint=str(at) if at else None)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(recipe, longest, str(error)) from None
    except RuntimeError as error:
        if ranks.world > 1 and of_the_network(error):
            raise TrainingError(
                "another process does not answer any more; look at its machine, then start all processes again with "
                f"--resume ({why(error)})",
                file=out,
            ) from None
        raise
    check_finite(trainer.model, trainer.state.global_step)
    if stop.wanted and trainer.state.global_step < card.steps:
        raise KeyboardInterrupt(
            f"stopped after step {trainer.state.global_step} of {card.steps}, which is saved; go on with the same "
            f"command and --resume ({out})"
        )
    if validation_losses(trainer.state.log_history):
        _take_best(trainer, out)
    return now()


def _history(trainer: Any) -> dict[str, Any]:
    """Losses and evaluations, as the run card holds them."""
    history = trainer.state.log_history
    losses = tuple(
        Loss(
            step=entry["step"],
            loss=entry["loss"],
            learning_rate=entry["learning_rate"],
            others={name: entry[name] for name in entry if name.startswith(("reward", "completions/mean_length"))},
        )
        for entry in history
        if "loss" in entry
    )
    evaluations = tuple(
        ValidationLoss(step=entry["step"], loss=entry[VALIDATION]) for entry in history if VALIDATION in entry
    )
    best = min(evaluations, key=lambda one: one.loss, default=None)
    return {"losses": losses, "evaluations": evaluations, "best_step": best.step if best else None}


def _stopped(trainer: Any, at: Path | None, patience: int | None) -> bool:
    """Whether the run that wrote this checkpoint had stopped early, and was only not yet finished."""
    if at is None:
        return False
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(at / "trainer_state.json"))
    if not exhausted(validation_losses(state.log_history), patience):
        return False
    trainer.state = state
    return True


def _take_best(trainer: Any, out: Path) -> None:
    """Put the adapter of the lowest validation loss in place of the last."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    best = out / CHECKPOINTS / f"{checkpoints.PREFIX}{trainer.state.best_global_step}" / adapter.WEIGHTS
    if not best.is_file():
        raise TrainingError("the checkpoint of the lowest validation loss is gone; train again", file=best)
    set_peft_model_state_dict(trainer.accelerator.unwrap_model(trainer.model), load_file(best))


def out_of_memory(recipe: DistillRecipe, longest: int, message: str) -> TrainingError:
    """What to lower, in the order of what it costs the result: nothing, nothing, then something."""
    lower = [
        f"batch from {recipe.batch} to {max(1, recipe.batch // 2)} with accumulate {recipe.accumulate * 2}"
        if recipe.batch > 1
        else "",
        "" if recipe.gradient_checkpointing else "gradient_checkpointing: true",
        "" if recipe.quantize == "nf4" else "quantize: nf4",
        f"max_length (the longest example has {longest} tokens)",
        f"lora.r from {recipe.lora.r}",
    ]
    advice = "; ".join(part for part in lower if part)
    return TrainingError(f"the card's memory is full: {message.splitlines()[0] if message else ''} Try: {advice}")
