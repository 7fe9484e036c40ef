"""The demo's base model: the tiny student, briefly pretrained here, so that there is something to adapt.

Two steps of three show 32 films, each with its impression or its sentence on devices; the third shows whole reports,
and numbered lists of sentences drawn at random. Films with rare findings come more often than others. So the base has
learned to see, the words, the digits and the headers; it has never seen ten steps in front of a report, which is what
distillation adds.

Phantoms are of seeds that neither the demo's studies nor its unseen ones use. Same seed and sentences, same
weights (on one machine); about half a minute on one core.
"""

import functools
import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.demo.phantom import phantom
from ...data.demo.truth import draw
from ...data.demo.words import report, sections
from .collator import CompletionCollator, TrainingRow
from .tiny import SHAPE, TinyShape, build

FIRST_SEED = 10_000_000
FILMS = 512
STEPS, RATE, LINES = 420, 1e-3, 4
_RARE = ("nodule", "pneumothorax")
_MARK = "pretrained.json"
_IMPRESSION, _DEVICES = "State the impression.", "Name the devices."
_REPORT, _LINES = "Report this radiograph.", "Write {} lines."


def tiny_base(
    out: Path,
    sentences: Sequence[str],
    *,
    shape: TinyShape = SHAPE,
    seed: int = 0,
    steps: int = STEPS,
    on_step: Callable[[], object] = lambda: None,
) -> Path:
    """Build and pretrain, unless `out` holds the result already.

    Args:
        out: the checkpoint's folder.
        sentences: sentences the base is pretrained on, besides reports; in no order.
        shape: sizes.
        seed: of weights and order.
        steps: optimizer steps.
        on_step: called after each step.

    Returns:
        `out`.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    known = sorted(set(sentences))
    language = hashlib.sha256("\n".join(known).encode()).hexdigest()
    sizes = f"Shape{repr(shape).removeprefix(type(shape).__name__)}"  # the name that it always had in these files
    settings = {"seed": seed, "steps": steps, "shape": sizes, "sentences_sha256": language}
    if (out / _MARK).is_file() and json.loads((out / _MARK).read_text("utf-8")) == settings:
        return out
    torch.set_num_threads(1)
    truths = [draw(FIRST_SEED + at) for at in range(FILMS)]
    texts = [{"report": report(truth), **sections(truth)} for truth in truths]
    prompts = [_IMPRESSION, _DEVICES, _REPORT]
    prompts += map(_LINES.format, range(2, LINES + 1))
    corpus = [*(text["report"] + "\n\n" for text in texts), "\n".join(known), *prompts]
    build(out, corpus, shape=shape, seed=seed)
    model: Any = AutoModelForImageTextToText.from_pretrained(out).train()
    films = functools.cache(lambda at: phantom(FIRST_SEED + int(at), shape.image)[0].convert("RGB"))
    collate = CompletionCollator(AutoProcessor.from_pretrained(out), 4096, films)
    weights = [3 if any(rare in text["impression"].lower() for rare in _RARE) else 1 for text in texts]
    dice = random.Random(seed)  # noqa: S311 an order, no secret

    def batch(step: int) -> list[TrainingRow]:
        reading = step % 3 == 2
        rows = []
        for at in dice.choices(range(FILMS), weights, k=8 if reading else 32):
            prompt, target = _reading(dice, texts[at], known) if reading else _seeing(dice, texts[at])
            rows.append(TrainingRow(study=str(at), image=str(at), prompt=prompt, target=target))
        return rows

    _train(model, collate, steps, batch, on_step)
    model.save_pretrained(out)
    (out / _MARK).write_text(json.dumps(settings), encoding="utf-8")
    return out


def _seeing(dice: random.Random, text: Mapping[str, str]) -> tuple[str, str]:
    if dice.random() < 0.75:
        return _IMPRESSION, text["impression"]
    return _DEVICES, text["findings"].split(". ")[0] + "."


def _reading(dice: random.Random, text: Mapping[str, str], known: Sequence[str]) -> tuple[str, str]:
    if dice.random() < 0.6:
        return _REPORT, text["report"]
    lines = dice.sample(known, dice.randint(2, LINES))
    numbered = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    return _LINES.format(len(lines)), numbered


def _train(
    model: Any,
    collate: CompletionCollator,
    steps: int,
    batch: Callable[[int], Sequence[TrainingRow]],
    on_step: Callable[[], object],
) -> None:
    """Full-parameter AdamW; the rate rises over 20 steps and falls to nothing over the last third."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 20, 3 * (steps - step) / steps)
        loss = model(**collate(batch(step))).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        on_step()
