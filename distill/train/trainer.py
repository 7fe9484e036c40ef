"""TRL's trainers, with every default that matters set explicitly: by imitation, by preference, by reward."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...data.loading import training_table
from ...schemas.distill_recipe import DistillRecipe
from ..load import Loaded, device, half_dtype
from .backend import Choice, adapted
from .callbacks import VALIDATION
from .collator import Collate, TrainingRow
from .dpo import preferring
from .frozen import keep_frozen
from .grpo import questions, rewarded
from .ranks import Ranks
from .tracking import services


def build(
    recipe: DistillRecipe,
    loaded: Loaded,
    train: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    collate: Collate,
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
    from transformers import PrinterCallback, set_seed

    arguments = _arguments(recipe, out, steps, ranks, validates=bool(validation) and recipe.method != "grpo")
    set_seed(recipe.seed)  # the older trainer leaves it to us, and adapters begin at random
    model, adapters = adapted(choice, loaded.model, loaded.student, recipe)
    given: dict[str, Any] = {
        "model": model,
        "train_dataset": training_table(questions(train) if recipe.method == "grpo" else train),
        "processing_class": loaded.processor,
        "peft_config": adapters,
    }
    if validation and recipe.method != "grpo":
        given["eval_dataset"] = training_table(validation)
    if recipe.method == "sft":
        trainer = _sft(arguments, given, collate)
    elif recipe.method == "dpo":
        trainer = preferring(recipe.preference, arguments, given, collate)
    else:
        trainer = rewarded(recipe, arguments, given)
    trainer.remove_callback(PrinterCallback)
    if recipe.gradient_checkpointing and choice.name == "hf":  # unsloth's own checkpoints need what this removes
        trainer.add_callback(keep_frozen())
    in_float32(trainer.model)
    return trainer


def _sft(arguments: dict[str, Any], given: dict[str, Any], collate: Collate) -> Any:
    from trl import SFTConfig, SFTTrainer

    # a text that is too long is an error of ours, not cut
    config = SFTConfig(**arguments, max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
    return SFTTrainer(args=config, data_collator=collate, **given)


def in_float32(model: Any) -> None:
    """Make what learns float32.

    TRL turns what a 4-bit model learns into bfloat16, in which 49 to 92 % of the updates of LoRA's A at a learning rate
    of 1e-4 round to nothing; a float32 model could not be asked with it either.
    """
    import torch

    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.to(torch.float32)


def _arguments(recipe: DistillRecipe, out: Path, steps: int, ranks: Ranks, *, validates: bool) -> dict[str, Any]:
    """What every method's config is given; `validates` where there is a validation loss."""
    import torch

    cuda = device() == "cuda"
    evaluating: dict[str, Any] = (
        {
            "eval_strategy": "steps",
            "eval_steps": recipe.save_every,
            "per_device_eval_batch_size": recipe.batch,
            "metric_for_best_model": VALIDATION,
            "greater_is_better": False,
        }
        if validates
        else {}
    )
    together: dict[str, Any] = (
        {"ddp_find_unused_parameters": False, **({} if cuda else {"ddp_backend": "gloo"})} if ranks.world > 1 else {}
    )
    return {
        "output_dir": str(out),
        "max_steps": steps,
        "per_device_train_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulate,
        "learning_rate": recipe.optimizer.learning_rate,
        "lr_scheduler_type": recipe.optimizer.schedule,
        "warmup_steps": round(recipe.optimizer.warmup * steps),
        "weight_decay": recipe.optimizer.weight_decay,
        "max_grad_norm": recipe.optimizer.clip,
        "optim": recipe.optimizer.name,
        "logging_steps": recipe.log_every,
        "logging_nan_inf_filter": False,  # it would hide that the loss is none any more
        "save_strategy": "steps",
        "save_steps": recipe.save_every,
        "save_total_limit": 2,  # the trainer removes the older one before the newer one is marked as whole
        "seed": recipe.seed,
        "bf16": cuda and half_dtype() == torch.bfloat16,
        "fp16": cuda and half_dtype() == torch.float16,
        "use_cpu": not cuda,
        **checkpointing(on=recipe.gradient_checkpointing),
        **evaluating,
        **together,
        "report_to": services(recipe),
        "run_name": recipe.name,
        "remove_unused_columns": False,
        "dataloader_pin_memory": cuda,
        "dataloader_num_workers": recipe.workers,
        "disable_tqdm": True,
    }


def checkpointing(*, on: bool) -> dict[str, Any]:
    """The trainer's arguments for it, which were renamed between the two tested sets of libraries."""
    from trl import SFTConfig

    names = {field.name for field in dataclasses.fields(SFTConfig)}
    name = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    return {name: on, f"{name}_kwargs": {"use_reentrant": False}}
