"""The verifier's recipe: who checks, how far, within which budget and policy. A curation's recipe can stand for it."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from ...data.recipes import kind_of, read_recipe
from ...schemas.curate_recipe import CurateRecipe, Reach, VerifierSpec
from ...schemas.errors import RecipeError
from ...schemas.recipe import RequestOptions


class VerifyRecipe(RequestOptions):
    """`tenstep verify RUN RECIPE` and `tenstep calibrate RECIPE`."""

    kind: Literal["verify"] = Field(description="Which kind of recipe this is.")
    verifier: VerifierSpec
    verify: Reach = Field("doubts", description="Traces in doubt, or accepted ones as well.")
    labelled: str | None = Field(
        None,
        description="calibrate: labelled traces, JSON Lines, or a run that readers have decided on; ours if not given.",
    )
    limit: int | None = Field(None, gt=0, description="calibrate: only the first so many, for a trial.")


def read_verify_recipe(path: Path) -> VerifyRecipe:
    """Read a recipe of either kind.

    Raises:
        RecipeError: it is neither, or names no verifier.
    """
    if kind_of(path) != "curate":
        return read_recipe(path, VerifyRecipe)
    return of_curate(read_recipe(path, CurateRecipe), path)


def of_curate(recipe: CurateRecipe, path: Path | None = None) -> VerifyRecipe:
    """What a curation's recipe says of its verifier.

    Raises:
        RecipeError: it names none.
    """
    if recipe.verifier is None:
        raise RecipeError("names no verifier; see: tenstep recipe --explain verifier", file=path, field="verifier")
    shared = {name: getattr(recipe, name) for name in RequestOptions.model_fields if name != "kind"}
    return VerifyRecipe(kind="verify", **shared, verifier=recipe.verifier, verify=recipe.verify)
