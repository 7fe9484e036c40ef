"""What is looked at before the first step: whether everything fits, and what exactly will be learned.

Images were checked when the rows were made (rows.py), weights are counted in the built model (lora.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..schemas.base import Noun
from ..schemas.errors import TrainingError
from .chat import conversation
from .collator import IGNORED, CompletionCollator, Row, too_long


class Lengths(Noun):
    """Tokens of the examples: the middle, the longest, and what is allowed."""

    median: int
    p95: int
    longest: int
    allowed: int


class Preflight(Noun):
    """What the run is about to do."""

    examples: int
    conversation: Lengths
    target: Lengths
    shown: str
    trainable: Mapping[str, int] = {}
    weights: int = 0


def measure(rows: Sequence[Row], collate: CompletionCollator, max_new_tokens: int) -> Preflight:
    """Measure every example, and decode what one is trained on.

    An image's tokens are counted on the first row and taken to be as many on the others.

    Raises:
        TrainingError: an example is longer than max_length, a target longer than sampling will allow, or the unmasked
            tokens are not the target.
    """
    tokenizer = collate.processor.tokenizer
    batch = collate(rows[:1])
    extra = batch["input_ids"].shape[1] - sum(_tokens(tokenizer, rows[0], collate.processor))
    whole, targets = [], []
    for row in rows:
        head, target = _tokens(tokenizer, row, collate.processor)
        if head + target + extra > collate.max_length:
            raise too_long(row["study"], head + target + extra, collate.max_length)
        if target > max_new_tokens:
            raise TrainingError(
                f"study '{row['study']}': its target has {target} tokens, and sampling stops after {max_new_tokens}; "
                "raise max_new_tokens or leave it out",
                field="max_new_tokens",
            )
        whole.append(head + target + extra)
        targets.append(target)
    labels = batch["labels"][0]
    shown = str(tokenizer.decode(labels[labels != IGNORED], skip_special_tokens=True))
    if shown != rows[0]["target"]:
        raise TrainingError(f"study '{rows[0]['study']}': the tokens that would be learned are not the target's")
    return Preflight(
        examples=len(rows),
        conversation=_lengths(whole, collate.max_length),
        target=_lengths(targets, max_new_tokens),
        shown=shown,
    )


def _tokens(tokenizer: Any, row: Row, processor: Any) -> tuple[int, int]:
    texts = conversation(processor, row["prompt"], row["target"])
    head, target = (len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
    return head, target


def _lengths(values: Sequence[int], allowed: int) -> Lengths:
    ordered = sorted(values)
    last = len(ordered) - 1
    return Lengths(median=ordered[last // 2], p95=ordered[round(last * 0.95)], longest=ordered[last], allowed=allowed)
