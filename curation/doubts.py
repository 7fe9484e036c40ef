"""Doubts: what a recipe says shall become of them, as far as that needs no verifier and no reader.

hold, verify   the verdict stays as it is
accept         the doubts stand, resolved by the recipe
reject         the same, the other way round
"""

from collections.abc import Mapping
from typing import Any

from ..schemas.verdict import Doubts, Resolution, Verdict


def doubts_of(recipe: Mapping[str, Any]) -> Doubts:
    """What a resolved recipe says, as a manifest holds it; old ones say nothing."""
    said: Doubts | None = recipe.get("doubts")
    return said or ("verify" if recipe.get("verifier") else "hold")


def decided(verdict: Verdict, doubts: Doubts) -> Verdict:
    """The verdict with the recipe's word on its doubts; what a verifier or a reader resolved stays so."""
    settled = verdict.resolution if verdict.resolution and verdict.resolution.by != "recipe" else None
    if settled is None and doubts in ("accept", "reject") and any(f.severity == "doubt" for f in verdict.findings):
        settled = Resolution(by="recipe", outcome="accept" if doubts == "accept" else "reject")
    return verdict if settled == verdict.resolution else verdict.model_copy(update={"resolution": settled})
