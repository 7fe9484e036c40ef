"""Export: what a folder of exported data says of itself, and the rows from which their owner can make it again."""

from typing import Any, Literal

from pydantic import Field

from .base import Noun, Record, Sha256
from .study import DataClass
from .trace import WrittenLayout

SplitName = Literal["train", "validation", "test"]  # as the hub and the trainers spell them


class ImageHash(Noun):
    """An image by its hash: the owner of the studies has it."""

    sha256: Sha256 = Field(description="Of the file's bytes.")
    view: str = Field("unknown", description="As in the study.")


class Rejected(Noun):
    """A rejected candidate of the same study, for a preference pair."""

    key: Sha256 = Field(description="The candidate's request key in its run.")
    steps: tuple[str, ...] = Field(description="Texts of its steps.")
    rules: tuple[str, ...] = Field(description="`rule: code` of the errors that rejected it.")


class ExportRecord(Record):
    """One example without anything of its source: steps, hashes, and the ids under which the owner has the rest."""

    study_id: str = Field(description="The study's id, under which its owner has the rest.")
    source: str = Field(description="The source's name.")
    split: SplitName = Field(description="The split that it is exported in.")
    steps: tuple[str, ...] = Field(description="Texts of the ten steps.")
    layout: WrittenLayout = Field(description="How the target is written.")
    report_sha256: Sha256 = Field(description="Of the reference report.")
    images: tuple[ImageHash, ...] = ()
    key: Sha256 = Field(description="The candidate's request key in its run.")
    teacher: str = Field(description="The author's name in the recipe.")
    model: str = Field(description="Model id of the author.")
    rejected: tuple[Rejected, ...] = ()


class ExportedRun(Noun):
    """A run that was exported from."""

    name: str = Field(description="Of the run's recipe.")
    recipe_sha256: Sha256 = Field(description="Of the run's resolved recipe.")
    code_version: str = Field(description="Version of tenstep that wrote the run.")
    accepted: int = Field(description="Examples of it in this export.")


class Pairs(Noun):
    """Preference pairs, and candidates that became none."""

    made: int = Field(0, description="Pairs in this export.")
    dropped: dict[str, int] = Field(default_factory=dict, description="By reason.")


class ExportManifest(Record):
    """export.json, written last."""

    kind: Literal["export"] = Field("export", description="What this file is.")
    exporter: str = Field(description="The form: `--to`.")
    complete: bool = Field(description="False: ids, steps and hashes only; tenstep join makes the rest.")
    data_class: DataClass = Field(description="restricted if any study is.")
    code_version: str = Field(description="Version of tenstep.")
    sources: tuple[str, ...] = Field(description="Sources of the studies.")
    runs: tuple[ExportedRun, ...] = Field(description="Runs that were exported from.")
    selection: dict[str, Any] | None = Field(None, description="Method, parameters and input of the selection.")
    reviewed_only: bool = Field(False, description="Only what readers have accepted.")
    prompt_id: str = Field(description="Name and version of the student's prompt.")
    prompt_sha256: Sha256 = Field(description="Of the prompt file.")
    prompt: str = Field(description="The student's instruction, which stands in every row.")
    rows: dict[SplitName, int] = Field(description="Rows by split.")
    patients: int = Field(description="Patients in all splits.")
    images: int = Field(0, description="Images that were copied.")
    pairs: Pairs = Pairs()
    files: dict[str, Sha256] = Field(default_factory=dict, description="Every file but this one and the card's.")
