"""Export: what a folder of exported data says of itself, and the rows from which their owner can make it again."""

from typing import Any, Literal

from pydantic import Field

from .base import Noun, Record, Sha256
from .study import DataClass
from .trace import WrittenLayout

SplitName = Literal["train", "validation", "test"]  # as the hub and the trainers spell them


class ImageHash(Noun):
    """An image by its hash: the owner of the studies has it."""

    sha256: Sha256
    view: str = "unknown"


class Rejected(Noun):
    """A rejected candidate of the same study, for a preference pair."""

    key: Sha256
    steps: tuple[str, ...]
    rules: tuple[str, ...] = Field(description="`rule: code` of the errors that rejected it.")


class ExportRecord(Record):
    """One example without anything of its source: steps, hashes, and the ids under which the owner has the rest."""

    study_id: str
    source: str
    split: SplitName
    steps: tuple[str, ...]
    layout: WrittenLayout
    report_sha256: Sha256
    images: tuple[ImageHash, ...] = ()
    key: Sha256 = Field(description="The candidate's request key in its run.")
    teacher: str
    model: str
    rejected: tuple[Rejected, ...] = ()


class ExportedRun(Noun):
    """A run that was exported from."""

    name: str
    recipe_sha256: Sha256
    code_version: str
    accepted: int = Field(description="Examples of it in this export.")


class Pairs(Noun):
    """Preference pairs, and candidates that became none."""

    made: int = 0
    dropped: dict[str, int] = Field(default_factory=dict, description="By reason.")


class ExportManifest(Record):
    """export.json, written last."""

    kind: Literal["export"] = "export"
    exporter: str
    complete: bool = Field(description="False: ids, steps and hashes only; tenstep join makes the rest.")
    data_class: DataClass
    code_version: str
    sources: tuple[str, ...]
    runs: tuple[ExportedRun, ...]
    selection: dict[str, Any] | None = Field(None, description="Method, parameters and input of the selection.")
    reviewed_only: bool = Field(False, description="Only what readers have accepted.")
    prompt_id: str
    prompt_sha256: Sha256
    prompt: str = Field(description="The student's instruction, which stands in every row.")
    rows: dict[SplitName, int]
    patients: int
    images: int = 0
    pairs: Pairs = Pairs()
    files: dict[str, Sha256] = Field(default_factory=dict, description="Every file but this one and the card's.")
