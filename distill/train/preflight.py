"""Checks before the first step: whether everything fits, and what exactly will be trained on.

`measure` counts tokens with the checkpoint's own processor. `preflight` runs all checks without training or weights:
shape and counts, examples and their images, lengths, test sets, memory. What is not available is listed and does not
hide the rest; what is available and does not fit is an error, in both.
"""

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
from ..shape import SHIPPED, processor_of, shape_of
from . import lora
from .collator import IGNORED, CompletionCollator, Row, too_long
from .examples import TrainingExamples, load_examples
from .memory import Memory, estimate
from .rows import rows_of, sizes_of
from .tiny_base import tiny_base
from .tracking import check_tracking

TINY = "tiny"
_SHOWN = 3


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
    shape: str
    trainable: Mapping[str, int]
    weights: int
    memory: Memory
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
    memory: Memory,
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
        data |= {"conversation": tokens.conversation, "target": tokens.target, "shown": tokens.shown}
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
        shape = shape_of(base, revision)
        if not shape.own:
            unchecked.append(f"weights: '{base}' is not at hand; counted on the shape of {SHIPPED}, which ships here")
        wanted = lora.expected(shape.model, shape.student, recipe.lora)
        weights = shape.model.num_parameters()
        found = lora.on_meta(shape.model, shape.student, recipe.lora)
        lora.agree(wanted, found)
        processor = processor_of(base, revision) if shape.own else None
        tokens = None
        if examples is not None and rows is not None and processor is not None:
            collate = CompletionCollator(processor, recipe.max_length, open_image)
            tokens = measure(rows, sizes_of(examples.all), collate, recipe.max_new_tokens)
        else:
            unchecked.append("token lengths and unmasked tokens: they need the examples and the checkpoint's processor")
        longest = tokens.conversation.longest if tokens else recipe.max_length
        memory = estimate(shape.model, recipe, sum(found.values()), longest)
        name = recipe.base if shape.own else shape.name
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
    rows: Sequence[Row], sizes: Sequence[tuple[int, int]], collate: CompletionCollator, max_new_tokens: int
) -> Tokens:
    """Measure every example, and decode what some are trained on.

    How many tokens an image takes may depend on its size, so it is counted once for each size.

    Args:
        rows: the examples.
        sizes: width and height of their images, in pixels.
        collate: with the checkpoint's processor.
        max_new_tokens: what sampling will allow.

    Raises:
        TrainingError: an example is longer than max_length, a target longer than sampling will allow, or the unmasked
            tokens are not the target.
    """
    tokenizer = collate.processor.tokenizer
    allowed = collate.max_length or sys.maxsize
    unlimited = CompletionCollator(collate.processor, None, collate.open_image)
    extra: dict[tuple[int, int], int] = {}
    whole, targets = [], []
    for row, size in zip(rows, sizes, strict=True):
        head, target = _tokens(tokenizer, row, collate.processor)
        if size not in extra:
            extra[size] = unlimited([row])["input_ids"].shape[1] - head - target
        length = head + target + extra[size]
        if length > allowed:
            raise too_long(row["study"], length, allowed)
        if target > max_new_tokens:
            raise TrainingError(
                f"study '{row['study']}': its target has {target} tokens, and sampling stops after {max_new_tokens}; "
                "raise max_new_tokens or leave it out",
                field="max_new_tokens",
            )
        whole.append(length)
        targets.append(target)
    return Tokens(
        conversation=_lengths(whole, allowed),
        target=_lengths(targets, max_new_tokens),
        shown=tuple(_learned(row, collate) for row in rows[:_SHOWN]),
    )


def _learned(row: Row, collate: CompletionCollator) -> str:
    """The unmasked tokens as text."""
    labels = collate([row])["labels"][0]
    text = str(collate.processor.tokenizer.decode(labels[labels != IGNORED], skip_special_tokens=True)).strip()
    if text != row["target"].strip():
        raise TrainingError(f"study '{row['study']}': the tokens that would be learned are not the target's")
    return text


def _tokens(tokenizer: Any, row: Row, processor: Any) -> tuple[int, int]:
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
