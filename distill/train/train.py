"""Distillation: a student is trained on the accepted examples of a run by QLoRA, through TRL's trainer.

    examples ──► rows (images checked) ──► base ──► preflight ──► steps, checkpoints ──► adapter/ ──► run_card.json

A run that was killed resumes from its last complete checkpoint and ends with the same weights as one that was not
(same machine, same libraries). It is refused if recipe, data or base changed since. With a validation set the adapter
of the lowest validation loss is kept, else the last.

torchrun starts several processes of it; they train as one with so many times the accumulation, and the first writes.
"""

import contextlib
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ...data.files import readable_by
from ...schemas.errors import RecipeError, RunError, TrainingError
from ...schemas.recipe import DistillRecipe
from .. import adapter
from .. import prompt as prompts
from ..libraries import quiet
from ..load import fingerprint
from ..pixels import open_image
from . import backend, checkpoints, lora
from . import trainer as trainers
from .collator import CompletionCollator
from .examples import TrainingExamples, load_examples
from .folder import ADAPTER, BASE, BOARD, CHECKPOINTS, ROWS, claimed
from .memory import estimate
from .preflight import TINY, build_preflight, measure
from .ranks import Ranks, check_launch
from .rows import rows_of, sizes_of
from .run_card import FILE, Evaluation, Loss, RunCard, Session, code, hardware, peak_memory_mb, versions
from .tiny_base import STEPS, tiny_base
from .tracking import board, check_tracking

_NEWER = frozenset({"traces", "too_long", "shape"})
OnProgress = Callable[[str, int, int], object]


def distill(
    recipe: DistillRecipe,
    run: Path | None,
    out: Path,
    *,
    resume: bool = False,
    on_progress: OnProgress = lambda _what, _done, _all: None,
) -> RunCard:
    """Train a student.

    Args:
        recipe: what to do.
        run: a run folder with accepted examples; none if the recipe names study stores.
        out: the training run's folder.
        resume: continue the run that `out` holds, if it holds one.
        on_progress: called with what is being done ("base", "train"), the steps of it that are done, and how many there
            are.

    Returns:
        The run's card, finished.

    Raises:
        TrainingError, ImageError, RecipeError, PolicyError: it must not start; nothing was trained.
        RunError: `out` cannot be used.
    """
    ranks = Ranks()
    check_launch()
    ranks.check_cards()
    prompt = prompts.read(prompts.path_of(recipe.prompt))
    examples = load_examples(recipe, run, prompt)
    check_tracking(recipe, restricted=examples.restricted)
    with (
        quiet(backend.imported_first(recipe.backend)),
        readable_by(owner_only=examples.restricted),
        _claimed(out, ranks, examples.restricted, resume=resume),
    ):
        old = RunCard.read(out) if resume and (out / FILE).exists() else None
        rows, validation = rows_of(examples.train, prompt), rows_of(examples.validation, prompt)
        resolved = resolve(recipe, run)
        identity = {
            "recipe_sha256": hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest(),
            "data_sha256": examples.sha256,
            "prompt_sha256": prompt.sha256,
        }
        _same(old, identity, out)
        if ranks.first:
            (out / "recipe.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False), encoding="utf-8")
            (out / ROWS).write_text("".join(json.dumps(row) + "\n" for row in examples.rows), encoding="utf-8")
            _build_base(recipe, examples, prompt, out, on_progress)
        ranks.wait()
        ranks.check_shared(out / "recipe.yaml")
        base = _base(recipe, out)
        identity["base_sha256"] = fingerprint(base, recipe.revision)
        _same(old, identity, out)
        if old is not None and old.finished:
            return old
        choice = backend.choose(recipe.backend)
        loaded = backend.load_base(choice, base, recipe, local_rank=ranks.local)
        collate = CompletionCollator(loaded.processor, recipe.max_length, open_image)
        everything = [*rows, *validation]
        tokens = measure(
            everything, sizes_of(examples.all), collate, recipe.max_new_tokens, drop=recipe.too_long == "drop"
        )
        dropped = set(tokens.dropped)
        rows, validation = ([row for row in some if row["study"] not in dropped] for some in (rows, validation))
        examples = examples.without(dropped)
        if not rows or (recipe.validation and not validation):
            raise TrainingError("every example is too long; raise max_length and max_new_tokens", field="too_long")
        wanted = lora.expected(loaded.model, loaded.student, recipe.lora)
        weights = loaded.model.num_parameters()
        memory = estimate(loaded.model, recipe, sum(wanted.values()), tokens.conversation.longest)
        steps = recipe.steps or _steps(recipe, len(rows) / ranks.world)
        trainer = trainers.build(
            recipe, loaded, rows, validation, collate, out / CHECKPOINTS, steps=steps, choice=choice, ranks=ranks
        )
        found = lora.trainable(trainer.model, loaded.student)
        lora.agree(wanted, found)
        checked = build_preflight(
            examples,
            tokens,
            tests=recipe.test_sets,
            shape=recipe.base,
            trainable=found,
            weights=weights,
            memory=memory,
        )
        at = checkpoints.last(out / CHECKPOINTS) if ranks.first else None
        ranks.wait()
        at = checkpoints.last(out / CHECKPOINTS) if not ranks.first else at
        card = RunCard(
            recipe=resolved,
            base=recipe.base,
            code_sha256=code(),
            libraries=versions(),
            hardware=hardware(),
            processes=ranks.world,
            backend=f"{choice.name}: {choice.why}",
            loaded=_loaded(loaded.model),
            preflight=checked.public,
            steps=steps,
            sessions=(
                *(old.sessions if old else ()),
                Session(from_step=checkpoints.step_of(at) if at else 0, started=_now()),
            ),
            **identity,
        )
        card = _run(recipe, trainer, card, out, at, ranks, on_progress, tokens.conversation.longest)
        if not ranks.first:
            return card
        student = adapter.save(
            trainer.accelerator.unwrap_model(trainer.model),
            loaded.processor,
            out / ADAPTER,
            prompt=prompts.path_of(recipe.prompt),
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


def resolve(recipe: DistillRecipe, run: Path | None) -> dict[str, Any]:
    """The recipe as it is recorded and hashed. Keys that older versions did not have are left out at their defaults, so
    that a run they began can be resumed.
    """
    fields = recipe.model_dump(mode="json")
    defaults = DistillRecipe(kind="distill", name="defaults", base="any", steps=1).model_dump(mode="json")
    fields = {name: value for name, value in fields.items() if name not in _NEWER or value != defaults[name]}
    return fields | ({"run": str(run.resolve())} if run is not None else {})


@contextlib.contextmanager
def _claimed(out: Path, ranks: Ranks, restricted: bool, *, resume: bool) -> Iterator[None]:
    """The first process locks the folder; the others read it after that."""
    with claimed(out, restricted=restricted, resume=resume) if ranks.first else contextlib.nullcontext():
        ranks.join()
        yield


def _build_base(
    recipe: DistillRecipe, examples: TrainingExamples, prompt: prompts.Prompt, out: Path, on_progress: OnProgress
) -> None:
    """The tiny base is built first, from the sentences of the targets' steps, in no order."""
    if recipe.base != TINY:
        return
    sentences = {text for example in examples.train for text in example.sentences} | set(prompt.text.splitlines())
    done = iter(range(1, 1_000_000))
    tiny_base(
        (out / BASE).resolve(),
        sorted(sentences),
        seed=recipe.seed,
        on_step=lambda: on_progress("base", next(done), STEPS),
    )


def _base(recipe: DistillRecipe, out: Path) -> str:
    """Where the base lies."""
    if recipe.base == TINY:
        return str((out / BASE).resolve())
    return recipe.base if not Path(recipe.base).is_dir() else str(Path(recipe.base).resolve())


def _same(old: RunCard | None, now: dict[str, str], out: Path) -> None:
    if old is None:
        return
    changed = [name.removesuffix("_sha256") for name, value in now.items() if getattr(old, name) != value]
    if changed:
        raise RunError(f"cannot go on: {', '.join(changed)} changed since; choose another --out", file=out)


def _steps(recipe: DistillRecipe, rows: float) -> int:
    if recipe.epochs is None:
        raise RecipeError("give either epochs or steps")
    return recipe.epochs * math.ceil(rows / (recipe.batch * recipe.accumulate))


def _run(
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

    stop = trainers.Stop()
    trainer.add_callback(
        trainers.follow(lambda step: on_progress("train", step, card.steps), on_save, recipe.patience, stop)
    )
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
    if stop.wanted and trainer.state.global_step < card.steps:
        raise KeyboardInterrupt(
            f"stopped after step {trainer.state.global_step} of {card.steps}, which is saved; go on with the same "
            f"command and --resume ({out})"
        )
    if trainers.validation_losses(trainer.state.log_history):
        _take_best(trainer, out)
    return now()


def _loaded(model: Any) -> str:
    """The repository or folder, and the commit, that the library says it loaded."""
    name, commit = str(model.config._name_or_path), getattr(model.config, "_commit_hash", None)
    return f"{name}@{commit}" if commit else name


def _history(trainer: Any) -> dict[str, Any]:
    """Losses and evaluations, as the run card holds them."""
    history = trainer.state.log_history
    losses = tuple(
        Loss(step=entry["step"], loss=entry["loss"], learning_rate=entry["learning_rate"])
        for entry in history
        if "loss" in entry
    )
    evaluations = tuple(
        Evaluation(step=entry["step"], loss=entry[trainers.VALIDATION])
        for entry in history
        if trainers.VALIDATION in entry
    )
    best = min(evaluations, key=lambda one: one.loss, default=None)
    return {"losses": losses, "evaluations": evaluations, "best_step": best.step if best else None}


def _stopped(trainer: Any, at: Path | None, patience: int | None) -> bool:
    """Whether the run that wrote this checkpoint had stopped early, and was only not yet finished."""
    if at is None:
        return False
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(at / "trainer_state.json"))
    if not trainers.exhausted(trainers.validation_losses(state.log_history), patience):
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
