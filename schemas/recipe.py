"""Recipes: what a run is told to do. A key nobody knows is an error, and so is a wrong value."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from .base import Noun

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class TeacherSpec(Noun):
    """One teacher; `kind` is the name of a file in curation/teachers, which checks `options` itself."""

    kind: Name
    name: Name | None = Field(None, description="What records call it; its kind if not given.")
    options: dict[str, Any] = Field(default_factory=dict)


class Goal(Noun):
    """When to stop. Without a goal the run ends with the data."""

    accepted: int | None = Field(None, gt=0, description="Stop when so many studies have an accepted trace.")


class Repair(Noun):
    """How often a rejected candidate goes back to its author with the findings."""

    attempts: int = Field(2, ge=0, le=10, description="Repairs after the first attempt.")


class CurateRecipe(Noun):
    """`tenstep curate RECIPE`."""

    kind: Literal["curate"]
    name: Name
    studies: str | None = Field(None, description="A study store; --studies overrides it.")
    teachers: tuple[TeacherSpec, ...] = Field(min_length=1)
    prompt: Name = Field("informed", description="A prompt in curation/prompts.")
    layout: Literal["plain", "tagged"] = Field("plain", description="How accepted examples are written.")
    goal: Goal = Goal()
    repair: Repair = Repair()
    resend_unknown: Literal["ask", "yes", "no"] = Field(
        "ask", description="Requests that were sent and never answered: ask stops and says so."
    )
    concurrency: int = Field(8, ge=1, le=4096)
    severities: dict[str, Literal["error", "warning", "off"]] = Field(
        default_factory=dict, description="Finding codes whose severity differs in this run."
    )
    limit: int | None = Field(None, gt=0, description="Only the first so many studies.")
    seed: int = 0
