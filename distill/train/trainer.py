"""TRL's trainer, with every default that matters set explicitly, and the callback that follows it.

Whether to stop early is computed from the logged validation losses, which a checkpoint holds: a resumed run decides
as one that was never stopped.
"""

import dataclasses
import math
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from ...data.training import training_table
from ...schemas.errors import TrainingError
from ...schemas.recipe import DistillRecipe
from ..load import Loaded, device, half_dtype
from .backend import Choice, adapted
from .collator import CompletionCollator, TrainingRow
from .frozen import keep_frozen
from .ranks import Ranks
from .tracking import services

VALIDATION = "eval_loss"


def build(
    recipe: DistillRecipe,
    loaded: Loaded,
    train: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    collate: CompletionCollator,
    out: Path,
    *,
    steps: int,
    choice: Choice,
    ranks: Ranks,
) -> Any:
    """A trainer that is ready to go.

    Args:
        recipe: how to learn.
        loaded: the base.
        train: training rows.
        validation: validation rows; may be empty.
        collate: rows to batches.
        out: folder of the checkpoints.
        steps: optimizer steps in all.
        choice: who loaded the base.
        ranks: the processes that train together.
    """
    import torch
    from transformers import PrinterCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    cuda = device() == "cuda"
    evaluating: dict[str, Any] = (
        {
            "eval_strategy": "steps",
            "eval_steps": recipe.save_every,
            "per_device_eval_batch_size": recipe.batch,
            "metric_for_best_model": VALIDATION,
            "greater_is_better": False,
        }
        if validation
        else {}
    )
    together: dict[str, Any] = (
        {"ddp_find_unused_parameters": False, **({} if cuda else {"ddp_backend": "gloo"})} if ranks.world > 1 else {}
    )
    arguments = SFTConfig(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.optimizer.learning_rate,
        lr_scheduler_type=recipe.optimizer.schedule,
        warmup_steps=round(recipe.optimizer.warmup * steps),
        weight_decay=recipe.optimizer.weight_decay,
        max_grad_norm=recipe.optimizer.clip,
        optim=recipe.optimizer.name,
        logging_steps=recipe.log_every,
        logging_nan_inf_filter=False,  # it would hide that the loss is none any more
        save_strategy="steps",
        save_steps=recipe.save_every,
        save_total_limit=2,  # the trainer removes the older one before the newer one is marked as whole
        seed=recipe.seed,
        bf16=cuda and half_dtype() == torch.bfloat16,
        fp16=cuda and half_dtype() == torch.float16,
        use_cpu=not cuda,
        **checkpointing(on=recipe.gradient_checkpointing),
        **evaluating,
        **together,
        report_to=services(recipe),
        run_name=recipe.name,
        remove_unused_columns=False,
        max_length=None,  # ours is checked, not cut
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=cuda,
        disable_tqdm=True,
    )
    set_seed(recipe.seed)  # the older trainer leaves it to us, and adapters begin at random
    model, adapters = adapted(choice, loaded.model, loaded.student, recipe)
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=training_table(train),
        eval_dataset=training_table(validation) if validation else None,
        processing_class=loaded.processor,
        data_collator=collate,
        peft_config=adapters,
    )
    trainer.remove_callback(PrinterCallback)
    if recipe.gradient_checkpointing and choice.name == "hf":  # unsloth's own checkpoints need what this removes
        trainer.add_callback(keep_frozen())
    # TRL turns what a 4-bit model learns into bfloat16, in which 49 to 92 % of the updates of LoRA's A at a learning
    # rate of 1e-4 round to nothing; a float32 model could not be asked with it either
    for weight in trainer.model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.to(torch.float32)
    return trainer


def checkpointing(*, on: bool) -> dict[str, Any]:
    """The trainer's arguments for it, which were renamed between the two tested sets of libraries."""
    from trl import SFTConfig

    names = {field.name for field in dataclasses.fields(SFTConfig)}
    name = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    return {name: on, f"{name}_kwargs": {"use_reentrant": False}}


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
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            on_step(state.global_step)
            if stop is not None and stop.wanted:
                control.should_save = control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            wild = [name for name in ("loss", VALIDATION) if not math.isfinite((logs or {}).get(name, 0.0))]
            if wild:
                message = f"at step {state.global_step} the {wild[0]} is no number any more; lower the learning rate"
                raise TrainingError(message, field="optimizer.learning_rate")

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if exhausted(validation_losses(state.log_history), patience):
                control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            on_save(state.global_step)

    return Follow()


def validation_losses(history: Sequence[dict[str, Any]]) -> list[float]:
    """The validation losses of a trainer's history, in order."""
    return [entry[VALIDATION] for entry in history if VALIDATION in entry]


def exhausted(losses: Sequence[float], patience: int | None) -> bool:
    """Whether the last `patience` losses were all no better than the best before them."""
    if patience is None or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience
