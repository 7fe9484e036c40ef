"""What follows a trainer: steps and checkpoints are reported, Ctrl-C saves, and a loss that no longer falls ends it.

Whether to stop early is computed from the logged validation losses, which a checkpoint holds: a resumed run decides
as one that was never stopped.
"""

import math
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

from ...schemas.errors import TrainingError

VALIDATION = "eval_loss"


class Stop:
    """Ctrl-C, and SIGTERM, during training: the step is finished and saved; a second one stops at once.

    Only the main thread can take signals; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()

    def _take(self, _number: int, _frame: object) -> None:
        self.wanted = True
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def follow(
    on_step: Callable[[int], object],
    on_save: Callable[[int], object],
    patience: int | None,
    stop: Stop | None = None,
) -> Any:
    """A callback that reports steps and checkpoints, and stops when the validation loss no longer falls."""
    from transformers import TrainerCallback

    class Follow(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            on_step(state.global_step)
            if stop is not None and stop.wanted:
                control.should_save = control.should_training_stop = True
            if control.should_save:  # a checkpoint without numbers is of no use to go on from
                check_finite(model, state.global_step)
                control.should_log = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            wild = [name for name in ("loss", VALIDATION) if not math.isfinite((logs or {}).get(name, 0.0))]
            if wild:
                raise no_number(wild[0], state.global_step)

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if exhausted(validation_losses(state.log_history), patience):
                control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            on_save(state.global_step)

    return Follow()


def no_number(what: str, step: int) -> TrainingError:
    """The error for a loss, or weights, that are infinite or none; checkpoints from before are as they were."""
    message = f"at step {step} the {what} is not a finite number; lower the learning rate and choose another --out"
    return TrainingError(message, field="optimizer.learning_rate")


def check_finite(model: Any, step: int) -> None:
    """Raises:
    TrainingError: a weight that learns is infinite or no number.
    """
    import torch

    if any(not torch.isfinite(weight).all() for weight in model.parameters() if weight.requires_grad):
        raise no_number("adapter", step)


def validation_losses(history: Sequence[dict[str, Any]]) -> list[float]:
    """The validation losses of a trainer's history, in order."""
    return [entry[VALIDATION] for entry in history if VALIDATION in entry]


def exhausted(losses: Sequence[float], patience: int | None) -> bool:
    """Whether the last `patience` losses were all no better than the best before them."""
    if patience is None or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience
