"""The judge's recipe: who judges, how often, within which budget and policy. The same words as in a curation's."""

from typing import Literal

from pydantic import Field

from ...schemas.base import Noun
from ...schemas.recipe import Budget, CurateRecipe, Name, Policy, Rate, TeacherSpec


class JudgeRecipe(Noun):
    """`tenstep judge RUN RECIPE`."""

    kind: Literal["judge"]
    name: Name
    judges: tuple[TeacherSpec, ...] = Field(min_length=1, description="Kinds and options as for teachers.")
    repeats: int = Field(2, ge=1, le=16, description="Judgements of one trace by one judge.")
    which: Literal["accepted", "all"] = Field("accepted", description="all: for each study its last rejected one too.")
    worst: int = Field(2, ge=1, le=4, description="A median score so low becomes a finding.")
    same_family: bool = Field(False, description="Let a model judge its own family's traces.")
    resend_unknown: Literal["ask", "yes", "no"] = "ask"
    budget: Budget = Budget()
    prices: str | None = None
    policy: Policy = Policy()
    concurrency: int = Field(8, ge=1, le=4096)
    rate: Rate = Rate()
    retries: int = Field(5, ge=0, le=20)
    limit: int | None = Field(None, gt=0, description="Only so many traces, drawn by the seed.")
    seed: int = 0

    def as_curate(self) -> CurateRecipe:
        """What asks questions takes a curation's recipe; what does not concern asking stays at its default."""
        shared = set(CurateRecipe.model_fields) & set(type(self).model_fields) - {"kind"}
        return CurateRecipe(kind="curate", teachers=self.judges, **{name: getattr(self, name) for name in shared})
