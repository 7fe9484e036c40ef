"""Splits by patient, decided by a small file: the same file and the same studies give the same splits, anywhere.

A patient's split is a hash of the seed and the patient's id, and depends on no other patient: when a store grows, no
patient moves. What a source has published is kept: its test and validation patients stay where they are, and no patient
of its train is drawn into a split that it has published. So every source has a held-out test of its own.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from ...schemas.base import Noun
from ...schemas.errors import InputError, RecipeError, why
from ...schemas.study import Study
from ..files import replace_text
from ..ids import patient_key
from ..recipes import read_recipe

Split = Literal["train", "validate", "test"]
SPLITS: tuple[Split, ...] = ("train", "validate", "test")
_PUBLISHED: dict[str, Split] = {
    "train": "train", "training": "train", "validate": "validate", "validation": "validate", "valid": "validate",
    "val": "validate", "dev": "validate", "test": "test", "testing": "test",
}  # fmt: skip


class SourceSplit(Noun):
    """What one source came to."""

    published: tuple[Split, ...] = Field(description="Splits that the source has published itself.")
    studies: dict[str, int] = Field(description="Studies by split.")
    patients: dict[str, int] = Field(description="Patients by split.")


class SplitRecipe(Noun):
    """The small file (splits.yaml)."""

    kind: Literal["split"] = Field("split", description="Which kind of recipe this is.")
    seed: int = Field(0, description="Of the draw of patients.")
    test: float = Field(0.1, ge=0, lt=1, description="Share of patients, where the source has published no test.")
    validate_: float = Field(0.05, ge=0, lt=1, alias="validate", description="The same for validation.")
    published: bool = Field(True, description="Keep the splits that sources have published.")
    sources: dict[str, SourceSplit] = Field(default_factory=dict, description="What it came to; checked when reused.")

    @model_validator(mode="after")
    def _some_train(self) -> "SplitRecipe":
        if self.test + self.validate_ >= 1:
            raise ValueError("test and validate leave nothing to train on")
        return self

    def of(self, study: Study) -> Split:
        """The split of a study, once `sources` are known.

        Raises:
            InputError: the recipe was made for other sources: drawn by their shares, a published test would be learned.
        """
        source = self.sources.get(study.source)
        if source is None and self.sources:
            raise InputError(
                f"the splits are of {', '.join(self.sources)}, and study '{study.id}' is of {study.source}; name its "
                "store as well: tenstep split STORE..."
            )
        return self.place(study, frozenset(source.published if source else ()))

    def place(self, study: Study, published: frozenset[Split]) -> Split:
        """The split of a study whose source has published these splits."""
        own = _PUBLISHED.get((study.split or "").strip().lower()) if self.published else None
        if own in ("validate", "test"):
            return own
        drawn = _share(self.seed, patient_key(study.patient_id))
        test = 0.0 if "test" in published else self.test
        if drawn < test:
            return "test"
        return "validate" if "validate" not in published and drawn < test + self.validate_ else "train"


def recipe_of(seed: int, test: float, validate: float, *, published: bool) -> SplitRecipe:
    """A new recipe.

    Raises:
        RecipeError: the shares are no shares.
    """
    try:
        return SplitRecipe.model_validate({"seed": seed, "test": test, "validate": validate, "published": published})
    except ValidationError as error:
        raise RecipeError(f"the shares of test and validate cannot be used: {why(error)}") from None


class _Seen(NamedTuple):
    source: str
    split: Split
    patient: str


def published_in(studies: Iterable[Study], recipe: SplitRecipe) -> dict[str, frozenset[Split]]:
    """The splits that each source has published."""
    found: dict[str, set[Split]] = {}
    for study in studies:
        own = _PUBLISHED.get((study.split or "").strip().lower()) if recipe.published else None
        found.setdefault(study.source, set()).update([own] if own else [])
    return {source: frozenset(splits) for source, splits in found.items()}


def resolve(recipe: SplitRecipe, stores: Iterable[Iterable[Study]]) -> SplitRecipe:
    """The recipe with what it comes to for these stores.

    Raises:
        InputError: it was resolved before, for other studies.
    """
    stores = list(stores)
    published: dict[str, frozenset[Split]] = {}
    for store in stores:
        for source, splits in published_in(store, recipe).items():
            published[source] = published.get(source, frozenset()) | splits
    studies: Counter[tuple[str, Split]] = Counter()
    patients: set[_Seen] = set()
    ids: set[str] = set()
    for store in stores:
        for study in store:
            if study.id not in ids:  # a study that several stores hold counts once
                ids.add(study.id)
                split = recipe.place(study, published[study.source])
                studies[study.source, split] += 1
                patients.add(_Seen(study.source, split, patient_key(study.patient_id)))
    counted = Counter((one.source, one.split) for one in patients)
    sources = {
        source: SourceSplit(
            published=tuple(split for split in SPLITS if split in published[source]),
            studies={split: studies[source, split] for split in SPLITS},
            patients={split: counted[source, split] for split in SPLITS},
        )
        for source in sorted(published)
    }
    for source, before in recipe.sources.items():
        if sources.get(source) != before:
            raise InputError(f"source '{source}' is not what the recipe was made for; leave 'sources' out to make anew")
    return recipe.model_copy(update={"sources": sources})


def read_splits(path: Path) -> SplitRecipe:
    """Read the small file.

    Raises:
        RecipeError: it is none.
    """
    return read_recipe(path, SplitRecipe)


def write_splits(recipe: SplitRecipe, path: Path) -> None:
    """Write the small file; it holds no patient and no study."""
    text = yaml.safe_dump(recipe.model_dump(mode="json", by_alias=True), sort_keys=False)
    replace_text(path, f"# tenstep split STORE... --recipe {path.name}\n{text}")


def _share(seed: int, patient: str) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{patient}".encode()).digest()[:8]) / 2**64
