"""A model that can be sampled: a student's adapter, a merged student, or a base as it is (a zero-shot baseline).

An adapter and merged weights come with the prompt that they were trained with. A base was trained with none, so it is
asked by a prompt of distill/prompts.
"""

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

from ..schemas.errors import InputError, TrainingError
from ..schemas.sample_recipe import SampleRecipe
from . import adapter
from . import prompt as prompts
from .load import Loaded, fingerprint, load, pinned_student
from .prompt import Prompt
from .publish import merge_card
from .publish.merge_card import MergedCard

Quantize = Literal["nf4", "none"]
_BASE_PROMPT = "ten-steps"
_BASE_TOKENS = 1024  # nothing taught a base to be brief


class Model(NamedTuple):
    """A model and how it is asked."""

    weights: Literal["adapter", "merged", "base"]
    place: str  # folder, or hub name of a base
    name: str
    model: str  # what candidates call it
    max_new_tokens: int
    revision: str | None = None
    quantize: Quantize | None = None  # of a base; students have their own

    @property
    def prompt(self) -> str | None:
        """The prompt of distill/prompts that a base is asked by; none for the one that a student was trained with."""
        return _BASE_PROMPT if self.weights == "base" else None

    def sha256(self) -> str:
        """Identity of the weights. Reads all of them, except an adapter's, which are compared when it is loaded."""
        if self.weights == "adapter":
            return adapter.describe(Path(self.place))[0].sha256
        if self.weights == "merged":
            return hashlib.sha256(f"merged{MergedCard.read(Path(self.place)).weights_sha256}".encode()).hexdigest()
        return hashlib.sha256(f"{fingerprint(self.place, self.revision)}{self.quantize}".encode()).hexdigest()

    def load(self, sha256: str, local_rank: int = 0) -> Loaded:
        """Ready to sample: merged weights as they are stored, a base in 4 bits or not.

        Args:
            sha256: what the identity must be.
            local_rank: which CUDA device of several.

        Raises:
            TrainingError, InputError: the weights are others, do not belong together, or are damaged.
        """
        if self.sha256() != sha256:
            raise TrainingError("the weights changed since the recipe was made; choose another --out", file=self.place)
        if self.weights == "adapter":
            return adapter.load_student(Path(self.place), adapter.describe(Path(self.place))[0], local_rank)
        if self.weights == "merged":
            from .infer_load import open_merged

            return open_merged(Path(self.place), local_rank=local_rank)
        loaded = load(self.place, self.revision, self.quantize or "none", local_rank=local_rank)
        return Loaded(loaded.model.eval(), loaded.processor, loaded.student)


def find(place: Path, *, revision: str | None = None, quantize: Quantize | None = None) -> Model:
    """What lies in a folder.

    Args:
        place: an adapter's folder or the training run that holds one, a merged student, a base's folder, or a base's
            name on the hub.
        revision: the commit of a base on the hub.
        quantize: of a base; none means `none`.

    Raises:
        InputError: there is no model, or a student is wanted otherwise than it was trained.
        TrainingError: the base has no pinned commit, or is of an unknown family.
    """
    is_merged = (place / merge_card.FILE).is_file()
    if not is_merged and (revision is not None or (place / "config.json").is_file()):
        root = str(place.resolve()) if place.is_dir() else str(place)
        pinned_student(root, revision)
        name = place.resolve().name if place.is_dir() else root
        return Model("base", root, name, f"{name} (base)", _BASE_TOKENS, revision, quantize or "none")
    folder = place if is_merged else adapter.find(place)
    if revision is not None or quantize is not None:
        raise InputError("a student has its own revision and precision; these are for a base", file=place)
    if is_merged:
        merged = MergedCard.read(place)
        return Model("merged", str(folder.resolve()), merged.name, merged.model, merged.max_new_tokens)
    card, _ = adapter.describe(folder)
    return Model("adapter", str(folder.resolve()), card.name, card.model, card.max_new_tokens)


def model_of(recipe: SampleRecipe) -> Model:
    """The model that a recipe names."""
    return find(Path(recipe.model), revision=recipe.revision, quantize=recipe.quantize)


def prompt_of(recipe: SampleRecipe) -> Prompt:
    """The prompt that a recipe asks by."""
    name = recipe.prompt
    return prompts.read(Path(recipe.model) / prompts.FILE if name is None else prompts.path_of(name))
