"""Distillation: a student is trained on the accepted examples of a run by QLoRA, through TRL's trainer.

    examples ──► rows (images checked) ──► base ──► preflight ──► steps, checkpoints ──► adapter/ ──► run_card.json

A run that was killed resumes from its last complete checkpoint and ends with the same weights as one that was not
(same machine, same libraries). It is refused if recipe, data or base changed since. With a validation set the adapter
of the lowest validation loss is kept, else the last. `method` says how it learns: by imitation (the line above), from
preference pairs (dpo.py), or by reward (grpo.py), which is checked on held-out studies before and after (answers.py).

torchrun starts several processes of it; they train as one with so many times the accumulation, and the first writes.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ...data.files import readable_by, replace_text
from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import RecipeError, TrainingError
from .. import adapter
from .. import prompt as prompts
from ..libraries import quiet
from ..load import Loaded, fingerprint
from ..pixels import open_image
from . import backend, checkpoints, loop, lora
from . import trainer as trainers
from .answers import HeldOut, answer_held_out, signs
from .collator import CompletionCollator, TrainingRow
from .examples import load_examples
from .folder import ADAPTER, CHECKPOINTS, ROWS, claimed, read_rows
from .identity import base_of, build_base, check_processes, check_same, resolve
from .lengths import measure
from .memory import estimate
from .preflight import TINY, build_preflight
from .ranks import Ranks, check_launch
from .rows import TrainingData, sizes_of
from .run_card import FILE, RunCard, TrainingSession, code, hardware, versions
from .tracking import check_tracking
from .vision_cache import VisionCache, check_sound

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
        check_processes(old, ranks.world, out)
        if old is not None and old.data_sha256 != examples.sha256 and (out / ROWS).is_file():
            # earlier versions took them in the order in which answers had arrived
            examples = examples.ordered_as(read_rows(out))
        data = TrainingData.of(examples, prompt, reward=recipe.method == "grpo")
        resolved = resolve(recipe, run)
        identity = {
            "recipe_sha256": hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest(),
            "data_sha256": examples.sha256,
            "prompt_sha256": prompt.sha256,
        }
        check_same(old, identity, out)
        if ranks.first:
            replace_text(out / "recipe.yaml", yaml.safe_dump(resolved, sort_keys=False))
            replace_text(out / ROWS, "".join(json.dumps(row) + "\n" for row in examples.rows))
            build_base(recipe, examples, prompt, out, on_progress)
        ranks.wait()
        ranks.check_shared(out / "recipe.yaml")
        identity["base_sha256"] = fingerprint(base_of(recipe, out), recipe.revision)
        check_same(old, identity, out)
        if old is not None and old.finished:
            return old
        return _train(recipe, data, out, ranks, old, {"recipe": resolved, **identity}, on_progress)


def _train(
    recipe: DistillRecipe,
    data: TrainingData,
    out: Path,
    ranks: Ranks,
    old: RunCard | None,
    identity: Mapping[str, Any],
    on_progress: OnProgress,
) -> RunCard:
    """Everything that needs the base; `identity` is what the run card says of recipe, data, prompt and base."""
    base = base_of(recipe, out)
    odd = f"method {recipe.method}" if recipe.method != "sft" else "vision_cache" if recipe.vision_cache else None
    choice = backend.choose(recipe.backend, odd)
    loaded = backend.load_base(choice, base, recipe, local_rank=ranks.local)
    collate = CompletionCollator(loaded.processor, recipe.max_length, open_image)
    sizes, drop = sizes_of(data.examples.all), recipe.too_long == "drop"
    tokens = measure(data.rows, sizes, collate, recipe.max_new_tokens, drop=drop)
    validates = bool(data.validation)
    data = data.without(set(tokens.dropped))
    if not data.train or (validates and not data.validation):
        raise TrainingError("every example is too long; raise max_length and max_new_tokens", field="too_long")
    wanted = lora.expected(loaded.model, loaded.student, recipe.lora)
    weights = loaded.model.num_parameters()
    memory = estimate(loaded.model, recipe, sum(wanted.values()), tokens.conversation.longest)
    answers = recipe.reward.answers if recipe.method == "grpo" else 1
    steps = recipe.steps or _steps(recipe, len(data.train) * answers / ranks.world)
    cache = _filled(recipe, loaded, collate, data.rows, ranks, on_progress)
    trainer = trainers.build(
        recipe,
        loaded,
        data.train,
        data.validation,
        cache or collate,
        out / CHECKPOINTS,
        steps=steps,
        choice=choice,
        ranks=ranks,
    )
    found = lora.trainable(trainer.model, loaded.student)
    lora.agree(wanted, found)
    checked = build_preflight(
        data.examples,
        tokens,
        tests=recipe.test_sets,
        shape=recipe.base,
        trainable=found,
        weights=weights,
        memory=memory,
        features=cache.size(data.rows) if cache else None,
    )
    at = _last(out, ranks)
    begun = TrainingSession(from_step=checkpoints.step_of(at) if at else 0, started=_now())
    card = RunCard(
        base=recipe.base,
        code_sha256=code(),
        libraries=versions(),
        hardware=hardware(),
        processes=ranks.world,
        backend=f"{choice.name}: {choice.why}",
        loaded=_loaded(loaded.model),
        preflight=checked.public,
        steps=steps,
        sessions=(*(old.sessions if old else ()), begun),
        **identity,
    )
    answered = functools.partial(_held_out, recipe, loaded, trainer, data.validation, on_progress=on_progress)
    if recipe.method == "grpo" and ranks.first:
        before = old.held_out[:1] if old is not None else ()
        card = card.model_copy(update={"held_out": before or (answered(step=0),)})
    ranks.wait()
    card = loop.run(recipe, trainer, card, out, at, ranks, on_progress, tokens.conversation.longest)
    if not ranks.first:
        return card
    if recipe.method == "grpo":
        held_out = (*card.held_out, answered(step=card.steps))
        card = card.model_copy(update={"held_out": held_out, "signs": signs(*held_out)})
    return _finished(recipe, card, trainer.accelerator.unwrap_model(trainer.model), loaded.processor, base, out)


def _finished(recipe: DistillRecipe, card: RunCard, model: Any, processor: Any, base: str, out: Path) -> RunCard:
    """The adapter's folder, and the card that says so."""
    student = adapter.save(
        model,
        processor,
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


def _last(out: Path, ranks: Ranks) -> Path | None:
    """The checkpoint to go on from; the first process removes broken ones before the others look."""
    at = checkpoints.last(out / CHECKPOINTS) if ranks.first else None
    ranks.wait()
    return at if ranks.first else checkpoints.last(out / CHECKPOINTS)


@contextlib.contextmanager
def _claimed(out: Path, ranks: Ranks, restricted: bool, *, resume: bool) -> Iterator[None]:
    """The first process locks the folder; the others read it after that."""
    with claimed(out, restricted=restricted, resume=resume) if ranks.first else contextlib.nullcontext():
        ranks.join()
        yield


def _filled(
    recipe: DistillRecipe,
    loaded: Loaded,
    collate: CompletionCollator,
    rows: Sequence[TrainingRow],
    ranks: Ranks,
    on_progress: OnProgress,
) -> VisionCache | None:
    """The features of all images, if the recipe keeps them; the first process computes what is missing."""
    if recipe.vision_cache is None:
        return None
    check_sound(recipe, loaded.model, loaded.student)
    cache = VisionCache(Path(recipe.vision_cache), loaded, collate)
    if ranks.first:
        cache.fill(rows, lambda done, total: on_progress("vision", done, total))
    ranks.wait()
    return cache


def _held_out(
    recipe: DistillRecipe,
    loaded: Loaded,
    trainer: Any,
    rows: Sequence[TrainingRow],
    *,
    step: int,
    on_progress: OnProgress,
) -> HeldOut:
    """What the student, as it is now, answers about held-out studies."""
    wanted = recipe.reward
    return answer_held_out(
        Loaded(trainer.accelerator.unwrap_model(trainer.model), loaded.processor, loaded.student),
        rows[: wanted.held_out],
        wanted.weights,
        max_new_tokens=recipe.max_new_tokens,
        temperature=wanted.temperature,
        step=step,
        on_progress=lambda done, total: on_progress(f"held out, step {step}", done, total),
    )


def _steps(recipe: DistillRecipe, rows: float) -> int:
    if recipe.epochs is None:
        raise RecipeError("give either epochs or steps")
    return recipe.epochs * math.ceil(rows / (recipe.batch * recipe.accumulate))


def _loaded(model: Any) -> str:
    """The repository or folder, and the commit, that the library says it loaded."""
    name, commit = str(model.config._name_or_path), getattr(model.config, "_commit_hash", None)
    return f"{name}@{commit}" if commit else name


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
