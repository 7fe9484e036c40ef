"""Checks before the first step: whether everything fits, and what exactly will be trained on.

`preflight` runs all checks without training or weights:
shape and counts, examples and their images, lengths, test sets, memory. What is not available is listed and does not
hide the rest; what is available and does not fit is an error, in both.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...schemas.base import Noun
from ...schemas.distill_recipe import DistillRecipe
from .. import prompt as prompts
from ..libraries import quiet
from ..pixels import open_image
from ..shape import processor_of, shape_of
from . import lora
from .collator import CompletionCollator
from .examples import TrainingExamples, load_examples
from .lengths import Lengths, Tokens, measure
from .memory import Memory, estimate
from .pairs import rules_of
from .rows import rows_of, sizes_of
from .tiny_base import tiny_base
from .tracking import check_tracking
from .vision_cache import check_sound, forecast

TINY = "tiny"


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
    pairs: Mapping[str, int] = {}  # preference pairs: how many, by the code that the other text was rejected for
    features_mb: int | None = None  # what vision_cache takes on disk
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
    features: int | None = None,
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
            "pairs": Counter(code for example in examples.all for code in rules_of(example.rejected)),
            "restricted": examples.restricted,
            "test_sets": tuple(tests),
        }
    if tokens is not None:
        data |= tokens.model_dump()
    return Preflight(
        shape=shape,
        trainable=trainable,
        weights=weights,
        memory=memory,
        features_mb=None if features is None else round(features / 2**20),
        unchecked=tuple(unchecked),
        **data,
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
            rows = rows_of(examples.all, prompt, reward=recipe.method == "grpo")
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
        features = None
        if recipe.vision_cache is not None and shape is not None:
            check_sound(recipe, shape.model, shape.student)
            images = len({row["image"] for row in rows or ()})
            if rows and processor is not None:
                features = forecast(shape.model, rows[0], CompletionCollator(processor, None, open_image), images)
            if features is None:
                unchecked.append("the size of the vision features: it needs the images and the checkpoint's processor")
        name = "unknown" if shape is None else recipe.base if shape.own else shape.name
        return build_preflight(
            examples,
            tokens,
            tests=tests,
            shape=name,
            trainable=found,
            weights=weights,
            memory=memory,
            features=features,
            unchecked=unchecked,
        )


def _missing(recipe: DistillRecipe, run: Path | None) -> list[str]:
    found = [] if run is None or run.exists() else [f"run '{run}'"]
    found += [f"study store '{path}'" for path in recipe.studies if not Path(path).exists()]
    found += [] if recipe.splits is None or Path(recipe.splits).exists() else [f"splits '{recipe.splits}'"]
    return found if run is not None or recipe.studies else [*found, "a run or study stores (--run)"]
