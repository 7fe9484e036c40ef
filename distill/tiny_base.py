"""The demo's base model: the tiny student, briefly pretrained here, so that there is something to adapt.

Every other step shows 32 films with their impressions, the one section that only the image decides; the steps
between them show whole reports, and numbered lists of sentences drawn at random. So the base has learned to see, the
words, the digits and the headers; it has never seen ten steps in front of a report, which is what distillation adds.

Phantoms are of seeds that neither the demo's studies nor its unseen ones use. Same seed and sentences, same
weights (on one machine); about half a minute on one core.
"""

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from .collator import CompletionCollator, Row
from .tiny import SHAPE, Shape, build

FIRST_SEED = 10_000_000
FILMS = 512
STEPS, RATE, LINES = 300, 1.5e-3, 4
_MARK = "pretrained.json"
_IMPRESSION, _REPORT, _LINES = "State the impression.", "Report this radiograph.", "Write {} lines."


def tiny_base(
    out: Path,
    sentences: Sequence[str],
    *,
    shape: Shape = SHAPE,
    seed: int = 0,
    steps: int = STEPS,
    on_step: Callable[[], object] = lambda: None,
) -> Path:
    """Build and pretrain, unless `out` holds the result already.

    Args:
        out: the checkpoint's folder.
        sentences: language the base shall have read, besides reports; order is not learned.
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
    told = {"seed": seed, "steps": steps, "shape": repr(shape), "sentences_sha256": language}
    if (out / _MARK).is_file() and json.loads((out / _MARK).read_text("utf-8")) == told:
        return out
    torch.set_num_threads(1)
    films, texts = _films(shape.image)
    prompts = [_IMPRESSION, _REPORT, *(_LINES.format(n) for n in range(2, LINES + 1))]
    reports = [line for text in texts for line in text["report"].splitlines()]
    build(out, [*reports, *known, *prompts], shape=shape, seed=seed)
    model: Any = AutoModelForImageTextToText.from_pretrained(out).train()
    collate = CompletionCollator(AutoProcessor.from_pretrained(out), 4096, films.__getitem__)
    dice = random.Random(seed)  # noqa: S311 an order, no secret

    def draw(step: int) -> list[Row]:
        if step % 2:
            return [_reading(dice, texts, known) for _ in range(8)]
        return [_impression(dice, texts) for _ in range(32)]

    _train(model, collate, steps, draw, on_step)
    model.save_pretrained(out)
    (out / _MARK).write_text(json.dumps(told), encoding="utf-8")
    return out


def _films(size: int) -> tuple[dict[str, Image.Image], list[dict[str, str]]]:
    from ..data.demo.phantom import phantom
    from ..data.demo.words import report, sections

    films, texts = {}, []
    for at in range(FILMS):
        film, truth = phantom(FIRST_SEED + at, size)
        films[str(at)] = film.convert("RGB")
        texts.append({"report": report(truth), "impression": sections(truth)["impression"]})
    return films, texts


def _row(at: int, prompt: str, target: str) -> Row:
    return Row(study=str(at), image=str(at), prompt=prompt, target=target)


def _impression(dice: random.Random, texts: Sequence[dict[str, str]]) -> Row:
    at = dice.randrange(len(texts))
    return _row(at, _IMPRESSION, texts[at]["impression"])


def _reading(dice: random.Random, texts: Sequence[dict[str, str]], known: Sequence[str]) -> Row:
    at = dice.randrange(len(texts))
    if dice.random() < 0.6:
        return _row(at, _REPORT, texts[at]["report"])
    lines = dice.sample(known, dice.randint(2, LINES))
    numbered = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    return _row(at, _LINES.format(len(lines)), numbered)


def _train(
    model: Any,
    collate: CompletionCollator,
    steps: int,
    draw: Callable[[int], Sequence[Row]],
    on_step: Callable[[], object],
) -> None:
    """Full-parameter AdamW; the rate rises over 20 steps and falls to nothing over the last third."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 20, 3 * (steps - step) / steps)
        loss = model(**collate(draw(step))).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        on_step()
