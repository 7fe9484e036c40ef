"""Checks before the first step: whether everything fits, and what exactly will be trained on.

`measure` counts tokens with the checkpoint's own processor. `preflight` runs all checks without training or weights:
shape and counts, examples and their images, lengths, test sets, memory. What is not available is listed and does not
hide the rest; what is available and does not fit is an error, in both.
"""

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...schemas.base import Noun
from ...schemas.errors import TrainingError
from ...schemas.recipe import DistillRecipe
from .. import prompt as prompts
from ..chat import conversation
from ..libraries import quiet
from ..pixels import open_image
from ..shape import processor_of, shape_of
from . import lora
from .collator import IGNORED, CompletionCollator, TrainingRow
from .examples import TrainingExamples, load_examples
from .memory import Memory, estimate
from .rows import rows_of, sizes_of
from .tiny_base import tiny_base
from .tracking import check_tracking

TINY = "tiny"
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


class Preflight(Noun):
    """What the run is about to do."""

    examples: int = 0
    validation: int = 0
    patients: int = 0
    patients_validation: int = 0
    images: int = 0
    one_of_several: int = 0  # studies with several images, of which the student is shown one
    test_sets: tuple[str, ...] = ()
    conversation: Lengths | None = None
    target: Lengths | None = None
    shown: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()  # studies that are left out because they are too long
    shape: str
    trainable: Mapping[str, int]
    weights: int
    memory: Memory | None  # none where the shape is not known
    restricted: bool = False
    unchecked: tuple[str, ...] = ()

    @property
    def public(self) -> "Preflight":
        """Without texts that may not leave: for files that travel with the student."""
        return self.model_copy(update={"shown": ()}) if self.restricted else self


def build_preflight(
    examples: TrainingExamples | None,
    tokens: Tokens | None,
    *,
    tests: Sequence[str],
    shape: str,
    trainable: Mapping[str, int],
    weights: int,
    memory: Memory | None,
    unchecked: Sequence[str] = (),
) -> Preflight:
    """Put together what was found."""
    data: dict[str, Any] = {}
    if examples is not None:
        data = {
            "examples": len(examples.train),
            "validation": len(examples.validation),
            "patients": len({example.patient for example in examples.train}),
            "patients_validation": len({example.patient for example in examples.validation}),
            "images": len(examples.all),
            "one_of_several": sum(len(example.study.images) > 1 for example in examples.all),
            "restricted": examples.restricted,
            "test_sets": tuple(tests),
        }
    if tokens is not None:
        data |= tokens.model_dump()
    return Preflight(
        shape=shape, trainable=trainable, weights=weights, memory=memory, unchecked=tuple(unchecked), **data
    )


def preflight(recipe: DistillRecipe, run: Path | None) -> Preflight:
    """Look at everything that is at hand, and train nothing.

    Args:
        recipe: what would be done.
        run: a run folder; none if the recipe names study stores, or nothing yet.

    Raises:
        TrainingError, ImageError, RecipeError, PolicyError, InputError: it must not start.
    """
    with quiet(), tempfile.TemporaryDirectory() as scratch:
        prompt = prompts.read(prompts.path_of(recipe.prompt))
        missing = _missing(recipe, run)
        unchecked = [f"{name} is not at hand" for name in missing]
        tests = [name for name in recipe.test_sets if Path(name).exists()]
        examples = rows = None
        if not missing:
            examples = load_examples(recipe.model_copy(update={"test_sets": tuple(tests)}), run, prompt)
            check_tracking(recipe, restricted=examples.restricted)
            unchecked += examples.unmatched
            rows = rows_of(examples.all, prompt)
        else:
            unchecked.append("examples, their images, the split by patient, test sets: the data is not at hand")
        unchecked += [f"test set '{name}' is not at hand" for name in recipe.test_sets if name not in tests]
        base, revision = recipe.base, recipe.revision
        if base == TINY:  # its shape and its tokenizer, without the time it takes to train it
            texts = {text for example in (examples.train if examples else ()) for text in example.sentences}
            texts |= set(prompt.text.splitlines())
            base = str(tiny_base(Path(scratch) / TINY, sorted(texts), seed=recipe.seed, steps=0))
        shape = shape_of(base, revision, recipe.shape)
        found: lora.Counts = {}
        weights = 0
        if shape is None:
            unchecked.append(f"weights and memory: '{base}' is not at hand, and neither is its shape; see `shape`")
        else:
            if not shape.own:
                unchecked.append(
                    f"weights: '{base}' is not at hand; counted on the shape of {shape.name}, which ships here"
                )
            wanted = lora.expected(shape.model, shape.student, recipe.lora)
            weights = shape.model.num_parameters()
            found = lora.on_meta(shape.model, shape.student, recipe.lora)
            lora.agree(wanted, found)
        processor = processor_of(base, revision) if shape is not None and shape.own else None
        tokens = None
        if examples is not None and rows is not None and processor is not None:
            collate = CompletionCollator(processor, recipe.max_length, open_image)
            drop = recipe.too_long == "drop"
            tokens = measure(rows, sizes_of(examples.all), collate, recipe.max_new_tokens, drop=drop)
            examples = examples.without(tokens.dropped)
        else:
            unchecked.append("token lengths and unmasked tokens: they need the examples and the checkpoint's processor")
        longest = tokens.conversation.longest if tokens else recipe.max_length
        memory = None if shape is None else estimate(shape.model, recipe, sum(found.values()), longest)
        name = "unknown" if shape is None else recipe.base if shape.own else shape.name
        return build_preflight(
            examples,
            tokens,
            tests=tests,
            shape=name,
            trainable=found,
            weights=weights,
            memory=memory,
            unchecked=unchecked,
        )


def _missing(recipe: DistillRecipe, run: Path | None) -> list[str]:
    found = [] if run is None or run.exists() else [f"run '{run}'"]
    found += [f"study store '{path}'" for path in recipe.studies if not Path(path).exists()]
    found += [] if recipe.splits is None or Path(recipe.splits).exists() else [f"splits '{recipe.splits}'"]
    return found if run is not None or recipe.studies else [*found, "a run or study stores (--run)"]


def measure(
    rows: Sequence[TrainingRow],
    sizes: Sequence[tuple[int, int]],
    collate: CompletionCollator,
    max_new_tokens: int,
    *,
    drop: bool = False,
) -> Tokens:
    """Measure every example, and decode what some are trained on.

    How many tokens an image takes may depend on its size, so it is counted once for each size.

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
        shown=tuple(_learned(row, collate) for row in kept[:_SHOWN]),
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
