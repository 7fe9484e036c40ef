"""The judge's recipe: who judges, how often, within which budget and policy."""

from typing import Literal

from pydantic import Field

from ...schemas.recipe import RequestOptions, TeacherSpec


class JudgeRecipe(RequestOptions):
    """`tenstep judge RUN RECIPE`."""

    kind: Literal["judge"] = Field(description="Which kind of recipe this is.")
    judges: tuple[TeacherSpec, ...] = Field(min_length=1, description="Kinds and options as for teachers.")
    rubric: str | None = Field(None, description="A file in place of curation/judging/judge.yaml.")
    repeats: int = Field(2, ge=1, le=16, description="Judgements of one trace by one judge.")
    which: Literal["accepted", "all"] = Field("accepted", description="all: for each study its last rejected one too.")
    worst: int = Field(2, ge=1, le=4, description="A median score so low becomes a finding.")
    same_family: bool = Field(False, description="Let a model judge its own family's traces.")
    limit: int | None = Field(None, gt=0, description="Only so many traces, drawn by the seed.")
