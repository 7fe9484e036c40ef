"""The arms of an ablation as distil recipes: one base, equal rows, steps and seeds, one difference.

    unfiltered     every study's first answer, whatever the rules say of it
    rejected       the first answers that the rules accept: rejection, without repair
    curated        the run's accepted examples: rejection and repair
    report-only    the reports of the accepted studies, without steps
    ...-balanced   the same, drawn so that the mix of findings is that of all studies (train/drawing.py)

Any other name states its changes, or a recipe of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...data.recipes import read_recipe
from ...schemas.ablate_recipe import AblateRecipe, Arm
from ...schemas.distill_recipe import DistillRecipe
from ...schemas.errors import RecipeError, first_fault
from .. import prompt as prompts
from ..train.examples import pool

BALANCED = "-balanced"
_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "unfiltered": {"traces": {"source": "first"}},
    "rejected": {"traces": {"source": "first-accepted"}},
    "curated": {"traces": {"source": "accepted"}},
    "report-only": {"traces": {"source": "reports"}, "prompt": "report-only"},
}


def arms_of(recipe: AblateRecipe, run: Path) -> dict[str, DistillRecipe]:
    """Each arm's distil recipe, without its seed.

    Args:
        recipe: which arms.
        run: the curation run that they draw their rows from.

    Raises:
        RecipeError: arms that differ in base or steps, an unknown name without changes, or more rows than an arm has.
    """
    arms = {name: _arm(name, arm, recipe) for name, arm in recipe.arms.items()}
    _equal(arms)
    sizes = {name: sum(1 for _ in pool(run, arm.traces.source)) for name, arm in arms.items()}
    n = recipe.n or min(sizes.values())
    for name, arm in arms.items():
        if sizes[name] == 0 or (sizes[name] < n and not arm.traces.balance):
            raise RecipeError(f"arm '{name}' has {sizes[name]} rows, and {n} are wanted of every arm", field="n")
    return {
        name: arm.model_copy(update={"traces": arm.traces.model_copy(update={"n": n})}) for name, arm in arms.items()
    }


def _arm(name: str, arm: Arm, recipe: AblateRecipe) -> DistillRecipe:
    shared = read_recipe(Path(arm.recipe or recipe.student), DistillRecipe).model_dump(mode="json")
    preset = _PRESETS.get(name.removesuffix(BALANCED))
    if preset is None and arm.recipe is None and not arm.changes:
        raise RecipeError(
            f"'{name}' says no changes, and is none of {', '.join(_PRESETS)}, nor one of them with {BALANCED}",
            field="arms",
        )
    fields = _merged(shared, preset or {})
    if preset is not None and "prompt" in preset:
        asked = prompts.read(prompts.path_of(shared["prompt"]))
        fields["prompt"] = prompts.report_name_for(asked.report_form)
    if preset is not None and name.endswith(BALANCED):
        fields = _merged(fields, {"traces": {"balance": True, "n": recipe.n or 1}})
    fields = _merged(fields, arm.changes)
    if recipe.steps is not None:
        fields |= {"steps": recipe.steps, "epochs": None}
    try:
        return DistillRecipe.model_validate(fields | {"run": None, "studies": ()}, strict=False)
    except ValidationError as error:
        message, field = first_fault(error)
        raise RecipeError(f"arm '{name}': {message}", field=f"arms.{name}.changes.{field}") from None


def _equal(arms: Mapping[str, DistillRecipe]) -> None:
    first = next(iter(arms.values()))
    for field in ("base", "revision", "steps", "epochs", "batch", "accumulate", "seed"):
        odd = next((name for name, arm in arms.items() if getattr(arm, field) != getattr(first, field)), None)
        if odd is not None:
            raise RecipeError(
                f"arm '{odd}' has {field} {getattr(arms[odd], field)}, the first arm {getattr(first, field)}; arms "
                "are trained equally, from one base" + ("; say steps here" if field in ("steps", "epochs") else ""),
                field=f"arms.{odd}",
            )


def _merged(fields: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes over fields, key by key at every depth."""
    merged = dict(fields)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
