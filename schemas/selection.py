"""Selection: which accepted examples of some runs were chosen, in which order, and why each was or was not."""

from typing import Any, Literal

from pydantic import Field

from .base import Noun, Record, Sha256

Method = Literal["selected", "random", "hard-random", "domain"]


class SelectedRun(Noun):
    """A run that was chosen from."""

    path: str = Field(description="Relative to the selection's folder where it can be, else absolute.")
    name: str = Field(description="Of the run's recipe.")
    recipe_sha256: Sha256 = Field(description="Of the run's resolved recipe.")
    accepted: int = Field(description="Examples that the run had when the selection was made.")


class Chosen(Noun):
    """One chosen example."""

    id: Sha256 = Field(description="Content hash of the example: its steps, its report and its images' hashes.")
    study_id: str = Field(description="The example's study.")
    key: Sha256 = Field(description="The candidate's request key in its run.")
    run: int = Field(ge=0, description="Which of the runs, from 0.")
    rank: int = Field(ge=1, description="Chosen first, second, ...: the first n rows are the selection of n.")
    reason: str = Field(description="Why it was taken at its turn.")
    gain: float = Field(0.0, description="What it added to the coverage of the pool, at its turn.")
    difficulty: float = Field(0.0, description="Rarity of its findings, or the student's failure rate.")
    groups: tuple[str, ...] = Field((), description="finding:..., view:..., source:..., normality:...")


class Stage(Noun):
    """One stage of the funnel."""

    name: str = Field(description="Of the stage.")
    before: int = Field(description="Examples that came in.")
    after: int = Field(description="Examples that were left.")
    removed: dict[str, int] = Field(default_factory=dict, description="How many left, by reason.")


class Selection(Record):
    """selection.json: the chosen rows and how they came about. Nothing in it depends on time or place."""

    kind: Literal["selection"] = Field("selection", description="What this file is.")
    method: Method = Field(description="selected, or which baseline.")
    code_version: str = Field(description="Version of tenstep.")
    runs: tuple[SelectedRun, ...] = Field(description="Runs that were chosen from.")
    parameters: dict[str, Any] = Field(description="Options of the command.")
    input_sha256: Sha256 = Field(description="Of the content hashes of all examples that there were, in their order.")
    libraries: dict[str, str] = Field(default_factory=dict, description="Versions of libraries that decide the result.")
    stages: tuple[Stage, ...] = ()
    pool: dict[str, int] = Field(default_factory=dict, description="Examples by group, after the gates.")
    chosen: dict[str, int] = Field(default_factory=dict, description="Chosen examples by group.")
    coverage: float = Field(0.0, description="Mean likeness of an example of the pool to the nearest chosen one, 0-1.")
    short: dict[str, int] = Field(default_factory=dict, description="Minimums that could not be met: how many lack.")
    rows: tuple[Chosen, ...] = Field(description="The chosen examples.")
