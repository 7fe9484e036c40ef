"""How long the examples are in the checkpoint's own tokens, and whether what would be learned is what is meant."""

import re
import sys
from collections.abc import Sequence
from typing import Any

from ...schemas.base import Noun
from ...schemas.errors import TrainingError
from ..chat import conversation
from .collator import IGNORED, CompletionCollator, TrainingRow, with_rejected

_SHOWN = 3
_NAMED = 8  # studies that a message names


class Lengths(Noun):
    """Tokens of the examples: the middle, the longest, and what is allowed."""

    median: int
    p95: int
    p99: int
    longest: int
    allowed: int


class Tokens(Noun):
    """What the processor makes of the examples."""

    conversation: Lengths
    target: Lengths
    shown: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def measure(
    rows: Sequence[TrainingRow],
    sizes: Sequence[tuple[int, int]],
    collate: CompletionCollator,
    max_new_tokens: int,
    *,
    drop: bool = False,
) -> Tokens:
    """Measure every example, and decode what some are trained on.

    How many tokens an image takes may depend on its size, so it is counted once for each size. Of a preference pair
    both texts are measured.

    Args:
        rows: the examples.
        sizes: width and height of their images, in pixels.
        collate: with the checkpoint's processor.
        max_new_tokens: what sampling will allow.
        drop: leave examples out that are too long, and list them; else they are an error.

    Raises:
        TrainingError: examples are longer than max_length, or their targets than sampling will allow; targets hold
            control tokens; or the unmasked tokens are not the target.
    """
    sizes = [*sizes, *(size for row, size in zip(rows, sizes, strict=True) if "rejected" in row)]
    rows = with_rejected(rows)
    check_control_tokens(rows, collate.processor)
    tokenizer = collate.processor.tokenizer
    allowed = collate.max_length or sys.maxsize
    unlimited = CompletionCollator(collate.processor, None, collate.open_image)
    extra: dict[tuple[int, int], int] = {}
    whole, targets, kept = [], [], []
    long: list[tuple[str, int]] = []
    cut: list[tuple[str, int]] = []
    for row, size in zip(rows, sizes, strict=True):
        head, target = _tokens(tokenizer, row, collate.processor)
        if size not in extra:
            extra[size] = unlimited([row])["input_ids"].shape[1] - head - target
        length = head + target + extra[size]
        if length > allowed:
            long.append((row["study"], length))
        if target > max_new_tokens:
            cut.append((row["study"], target))
        if length <= allowed and target <= max_new_tokens:
            whole.append(length)
            targets.append(target)
            kept.append(row)
    if (long or cut) and not drop:
        raise _too_long(long, cut, allowed, max_new_tokens)
    if not kept:
        raise TrainingError("every example is too long; raise max_length and max_new_tokens", field="too_long")
    return Tokens(
        conversation=_lengths(whole, allowed),
        target=_lengths(targets, max_new_tokens),
        shown=tuple(_learned(row, collate) for row in kept[:_SHOWN] if "reference_report" not in row),
        dropped=tuple(dict.fromkeys(study for study, _ in [*long, *cut])),
    )


def check_control_tokens(rows: Sequence[TrainingRow], processor: Any) -> None:
    """A control token in a target would end the answer, or stand for an image, in the middle of a text.

    Raises:
        TrainingError: targets hold control tokens of the tokenizer; how many, and which study is the first.
    """
    tokenizer = processor.tokenizer
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    marks = {*tokenizer.all_special_tokens, *added, str(getattr(processor, "image_token", "") or "")} - {""}
    pattern = re.compile("|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True)))
    found = [(row["study"], match[0]) for row in rows if (match := pattern.search(row["target"]))] if marks else []
    if found:
        study, mark = found[0]
        raise TrainingError(
            f"{len(found)} targets hold control tokens of the tokenizer ({_listed([name for name, _ in found])}; the "
            f"first is '{mark}' in '{study}'); reject those traces, or mend those reports at their source"
        )


def _too_long(
    long: Sequence[tuple[str, int]], cut: Sequence[tuple[str, int]], allowed: int, max_new_tokens: int
) -> TrainingError:
    """All examples that do not fit, in one message."""
    parts = []
    if long:
        parts.append(
            f"{len(long)} examples have more than the {allowed} tokens of max_length (up to "
            f"{max(length for _, length in long)}: {_listed([study for study, _ in long])})"
        )
    if cut:
        parts.append(
            f"{len(cut)} targets have more than the {max_new_tokens} tokens of max_new_tokens, where sampling stops "
            f"(up to {max(length for _, length in cut)}: {_listed([study for study, _ in cut])})"
        )
    return TrainingError(
        f"{'; '.join(parts)}; raise the limit, or leave them out with too_long: drop",
        field="max_length" if long else "max_new_tokens",
    )


def _listed(names: Sequence[str]) -> str:
    """The first names of a list."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:_NAMED]) + more


def _learned(row: TrainingRow, collate: CompletionCollator) -> str:
    """The unmasked tokens as text."""
    labels = collate([row])["labels"][0]
    text = str(collate.processor.tokenizer.decode(labels[labels != IGNORED], skip_special_tokens=True)).strip()
    if text != row["target"].strip():
        raise TrainingError(f"study '{row['study']}': the tokens that would be learned are not the target's")
    return text


def _tokens(tokenizer: Any, row: TrainingRow, processor: Any) -> tuple[int, int]:
    texts = conversation(processor, row["prompt"], row["target"])
    head, target = (len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
    return head, target


def _lengths(values: Sequence[int], allowed: int) -> Lengths:
    ordered = sorted(values)
    last = len(ordered) - 1
    return Lengths(
        median=ordered[last // 2],
        p95=ordered[round(last * 0.95)],
        p99=ordered[round(last * 0.99)],
        longest=ordered[last],
        allowed=allowed,
    )
