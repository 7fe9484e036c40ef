"""Distillation: the accepted examples of a run, learned by QLoRA through TRL's trainer.

    rows (images checked) ──► base ──► preflight ──► steps, checkpoints ──► adapter/ ──► run_card.json

A run that was killed goes on from its last whole checkpoint and ends with the same weights as one that was not
(same machine, same libraries). A run that would be another one (recipe, data, base) is not gone on with.
"""

import dataclasses
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ..data.run import RunFolder
from ..data.training import training_table
from ..schemas.errors import RecipeError, RunError
from ..schemas.example import Example
from ..schemas.recipe import DistillRecipe
from . import adapter, checkpoints, lora, prompt
from .card import FILE, Loss, RunCard, Session, data_sha256, hardware, peak_memory_mb, versions
from .collator import CompletionCollator, Row
from .folder import ADAPTER, BASE, CHECKPOINTS, claimed
from .libraries import quiet
from .load import Loaded, device, fingerprint, load
from .pixels import open_image
from .preflight import measure
from .rows import rows_of
from .tiny_base import tiny_base

Watcher = Callable[[str, int], object]
TINY = "tiny"


def distill(
    recipe: DistillRecipe, run: Path, out: Path, *, resume: bool = False, watch: Watcher = lambda _what, _n: None
) -> RunCard:
    """Train a student.

    Args:
        recipe: what to do.
        run: a run folder with accepted examples.
        out: the training run's folder.
        resume: go on with the run that `out` holds, if it holds one.
        watch: told what is being done ("base", "train") and how many steps of it are behind.

    Returns:
        The run's card, finished.

    Raises:
        TrainingError, ImageError, RecipeError: it must not start; nothing was trained.
        RunError: `out` cannot be used.
    """
    with RunFolder.read(run) as folder, claimed(out, resume=resume), quiet():
        old = RunCard.read(out) if resume and (out / FILE).exists() else None
        examples = list(folder.accepted())[: recipe.limit]
        asked = prompt.read(prompt.path_of(recipe.prompt))
        rows = rows_of(examples, folder.studies, asked)
        resolved = recipe.model_dump(mode="json") | {"run": str(run.resolve())}
        identity = {
            "recipe_sha256": hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest(),
            "data_sha256": data_sha256(examples),
            "prompt_sha256": asked.sha256,
        }
        _same(old, identity, out)
        (out / "recipe.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False), encoding="utf-8")
        base = _base(recipe, examples, asked, out, watch)
        identity["base_sha256"] = fingerprint(base, recipe.revision)
        _same(old, identity, out)
        if old is not None and old.finished:
            return old
        loaded = load(base, recipe.revision, recipe.quantize, recipe.lora.whole)
        collate = CompletionCollator(loaded.processor, recipe.max_length, open_image)
        checked = measure(rows, collate, recipe.max_new_tokens)
        wanted = lora.expected(loaded.model, loaded.student, recipe.lora)
        weights = loaded.model.num_parameters()
        steps = recipe.steps or _steps(recipe, len(rows))
        trainer = _trainer(recipe, loaded, rows, collate, out / CHECKPOINTS, steps)
        found = lora.trainable(trainer.model, loaded.student)
        lora.agree(wanted, found)
        at = checkpoints.last(out / CHECKPOINTS)
        card = RunCard(
            recipe=resolved,
            base=recipe.base,
            libraries=versions(),
            hardware=hardware(),
            preflight=checked.model_copy(update={"trainable": found, "weights": weights}),
            steps=steps,
            sessions=(
                *(old.sessions if old else ()),
                Session(from_step=checkpoints.step_of(at) if at else 0, started=_now()),
            ),
            **identity,
        )
        card.write(out)
        card = _run(trainer, card, out, at, watch)
        student = adapter.save(
            trainer.model,
            loaded.processor,
            out / ADAPTER,
            prompt=prompt.path_of(recipe.prompt),
            name=recipe.name,
            base=recipe.base,
            base_path=os.path.relpath(base, out / ADAPTER) if recipe.base == TINY else base,
            revision=recipe.revision,
            base_sha256=card.base_sha256,
            recipe_sha256=card.recipe_sha256,
            quantize=recipe.quantize,
            whole=recipe.lora.whole,
            max_new_tokens=recipe.max_new_tokens,
        )
        card = card.model_copy(update={"adapter_sha256": student.adapter_sha256, "finished": _now()})
        card.write(out)
        return card


def _base(recipe: DistillRecipe, examples: Sequence[Example], asked: prompt.Prompt, out: Path, watch: Watcher) -> str:
    """Where the base lies; the tiny one is built first, from the sentences of the steps, in no order."""
    if recipe.base != TINY:
        return recipe.base if not Path(recipe.base).is_dir() else str(Path(recipe.base).resolve())
    sentences = {text for example in examples for text in example.trace.texts} | set(asked.text.splitlines())
    done = iter(range(1, 1_000_000))
    return str(
        tiny_base(
            (out / BASE).resolve(), sorted(sentences), seed=recipe.seed, on_step=lambda: watch("base", next(done))
        )
    )


def _same(old: RunCard | None, now: dict[str, str], out: Path) -> None:
    if old is None:
        return
    changed = [name.removesuffix("_sha256") for name, value in now.items() if getattr(old, name) != value]
    if changed:
        raise RunError(f"cannot go on: {', '.join(changed)} changed since; choose another --out", file=out)


def _steps(recipe: DistillRecipe, rows: int) -> int:
    if recipe.epochs is None:
        raise RecipeError("give either epochs or steps")
    return recipe.epochs * math.ceil(rows / (recipe.batch * recipe.accumulate))


def _trainer(
    recipe: DistillRecipe, loaded: Loaded, rows: Sequence[Row], collate: CompletionCollator, out: Path, steps: int
) -> Any:
    """TRL's trainer with nothing left to its defaults that would matter."""
    import torch
    from transformers import PrinterCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    cuda = device() == "cuda"
    # renamed between the two tested sets of libraries
    names = {field.name for field in dataclasses.fields(SFTConfig)}
    new = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
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
        save_strategy="steps",
        save_steps=recipe.save_every,
        save_total_limit=2,  # the trainer removes the older one before the newer one is marked as whole
        seed=recipe.seed,
        bf16=cuda,
        use_cpu=not cuda,
        **{new: recipe.gradient_checkpointing, f"{new}_kwargs": {"use_reentrant": False}},
        report_to=[],
        remove_unused_columns=False,
        max_length=None,  # ours is checked, not cut
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=cuda,
        disable_tqdm=True,
    )
    set_seed(recipe.seed)  # the older trainer leaves it to us, and adapters begin at random
    trainer = SFTTrainer(
        model=loaded.model,
        args=arguments,
        train_dataset=training_table(rows),
        processing_class=loaded.processor,
        data_collator=collate,
        peft_config=lora.config(loaded.model, loaded.student, recipe.lora),
    )
    trainer.remove_callback(PrinterCallback)
    if not cuda:  # TRL turns what a 4-bit model learns into bfloat16, which a float32 model cannot be asked with
        for weight in trainer.model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.to(torch.float32)
    return trainer


def _run(trainer: Any, card: RunCard, out: Path, at: Path | None, watch: Watcher) -> RunCard:
    """Train to the end; the card is brought up to date with every checkpoint."""
    from transformers import TrainerCallback

    since = time.monotonic()

    def now() -> RunCard:
        session = card.sessions[-1].model_copy(update={"seconds": round(time.monotonic() - since, 2)})
        losses = tuple(
            Loss(step=entry["step"], loss=entry["loss"], learning_rate=entry["learning_rate"])
            for entry in trainer.state.log_history
            if "loss" in entry
        )
        told = {"sessions": (*card.sessions[:-1], session), "losses": losses, "peak_memory_mb": peak_memory_mb()}
        return card.model_copy(update=told)

    class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch("train", state.global_step)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            checkpoints.mark(out / CHECKPOINTS / f"{checkpoints.PREFIX}{state.global_step}")
            now().write(out)

    trainer.add_callback(Watch())
    trainer.train(resume_from_checkpoint=str(at) if at else None)
    return now()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
