"""A verifier's question: one trace with its reference, from a prompt file; text alone, and no word of who wrote it.

Hash and version of the file travel into every record and into a calibration, which counts for this prompt only.
"""

import json
from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Self

from pydantic import Field, model_validator

from ...schemas.study import Study
from ..prompt import FilledPrompt
from ..prompt_file import VersionedFile, read_prompt_file
from ..teacher import Question
from .answer import MISSING, keys, schema


class VerifierPromptFile(VersionedFile):
    """verify.yaml, or a file of one's own."""

    system: str
    user: str = Field(description="$data is the study and the steps.")
    again: str = Field(description="After an answer that could not be used: $data, and $problems.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for text, names in ((self.user, {"data"}), (self.again, {"data", "problems"})):
            if set(Template(text).get_identifiers()) != names:
                raise ValueError("user needs $data, again needs $data and $problems")
        return self


class VerifierPrompt:
    """A prompt file, ready to be filled.

    Args:
        path: of the file; ours if none.

    Raises:
        RecipeError: it cannot be read.
    """

    def __init__(self, path: str | None = None) -> None:
        source = path or resources.files(__package__).joinpath("verify.yaml")
        found = read_prompt_file(VerifierPromptFile, source, "prompt for a verifier", "verifier.prompt")
        self._file, self.id, self.sha256 = found

    def question(self, study: Study, steps: Sequence[str], problems: str | None = None) -> Question:
        """The question about one trace; a second one says what was wrong with the first one's answer."""
        data = {
            "views": list(study.views),
            "earlier_examination_supplied": study.has_prior,
            "reference_report": study.report,
            "steps": dict(zip(keys(len(steps)), steps, strict=True)),
        }
        fields = {"data": json.dumps(data, ensure_ascii=False, indent=1)}
        template = self._file.user
        if problems is not None:
            template, fields["problems"] = self._file.again, json.dumps(problems, ensure_ascii=False)
        user = Template(template).substitute(fields)
        prompt = FilledPrompt(self.id, self._file.system, user, False, (*keys(len(steps)), MISSING), schema(len(steps)))
        return Question(study.model_copy(update={"images": ()}), prompt, sample=int(problems is not None))
