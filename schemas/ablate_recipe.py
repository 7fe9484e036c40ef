"""The recipe of `tenstep ablate`: arms, and what they share."""

from typing import Any, Literal

from pydantic import Field

from .base import Name, Noun


class Arm(Noun):
    """One arm of an ablation."""

    recipe: str | None = Field(None, description="A distil recipe of its own; the ablation's `student` if not given.")
    changes: dict[str, Any] = Field(default_factory=dict, description="Keys of that recipe with other values.")


class AblateRecipe(Noun):
    """`tenstep ablate RECIPE`: students that differ in one thing, trained equally and compared on the same studies."""

    kind: Literal["ablate"] = Field(description="Which kind of recipe this is.")
    name: Name = Field(description="The recipe's name: letters, digits, '.', '_' and '-'.")
    run: str | None = Field(None, description="A curation run; --run overrides it.")
    unseen: str | None = Field(None, description="A study store that no arm is trained on; --unseen overrides it.")
    student: str = Field(description="The distil recipe that all arms share.")
    arms: dict[Name, Arm] = Field(
        default_factory=lambda: {name: Arm() for name in ("unfiltered", "rejected", "curated", "report-only")},
        min_length=2,
        description="By name. unfiltered, rejected, curated and report-only need no changes, nor do these names with "
        "-balanced behind them; every arm is compared with the first.",
    )
    n: int | None = Field(None, ge=1, description="Rows of every arm; as many as the smallest has if not given.")
    steps: int | None = Field(None, ge=1, description="Optimizer steps of every arm; the student's if not given.")
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1, description="Every arm is trained once with each.")
    limit: int | None = Field(None, gt=0, description="Only the first so many unseen studies.")
    resamples: int = Field(2000, ge=100, description="Draws of patients for the intervals.")
