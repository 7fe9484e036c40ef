"""Prompts: files with a version, filled with one study, hashed as they are sent.

A study travels as one JSON object, so nothing that a report says can end the data and begin an instruction.
This file knows what is asked. It does not know who answers.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

import yaml
from pydantic import ValidationError

from ..schemas.base import Noun
from ..schemas.candidate import Candidate
from ..schemas.errors import RecipeError
from ..schemas.study import Study
from ..schemas.verdict import Finding

PACKAGE = __package__ or ""


class PromptFile(Noun):
    """A prompt as it lies in curation/prompts."""

    version: int
    writes_report: bool
    system: str
    user: str
    repair: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt filled for one attempt at one study."""

    id: str
    system: str
    user: str
    writes_report: bool

    @property
    def sha256(self) -> str:
        """Hash of everything that is sent as text."""
        return hashlib.sha256(json.dumps([self.system, self.user]).encode()).hexdigest()


class Prompts:
    """One prompt file, ready to be filled."""

    def __init__(self, name: str) -> None:
        folder = resources.files(PACKAGE).joinpath("prompts")
        file = folder.joinpath(f"{name}.yaml")
        if not file.is_file():
            known = ", ".join(
                sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))
            )
            raise RecipeError(f"there is no prompt '{name}'; known: {known}", field="prompt")
        try:
            self._file = PromptFile.model_validate(yaml.safe_load(file.read_text("utf-8")))
        except ValidationError as error:
            raise RecipeError(f"the prompt file cannot be used: {error.errors()[0]['msg']}", file=str(file)) from None
        self.id = f"{name}@{self._file.version}"

    def fill(self, study: Study, previous: Candidate | None = None, findings: Sequence[Finding] = ()) -> Prompt:
        """Fill in a study, and, for a repair, the candidate to be repaired and what was found in it."""
        data = {"views": list(study.views), "reference_report": study.report}
        fields = {"data": json.dumps(data, ensure_ascii=False, indent=1)}
        template = self._file.user
        if previous is not None:
            template = self._file.repair
            fields["previous"] = json.dumps(
                {
                    "earlier_answer": previous.text,
                    "to_change": [
                        {"step": f.step, "problem": f.message, "the_reference_says": f.evidence} for f in findings
                    ],
                },
                ensure_ascii=False,
                indent=1,
            )
        return Prompt(self.id, self._file.system, Template(template).substitute(fields), self._file.writes_report)
