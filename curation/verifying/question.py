"""A verifier's question: one trace with its reference, from a prompt file; text alone, and no word of who wrote it.

Hash and version of the file travel into every record and into a calibration, which counts for this prompt only.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Self

from pydantic import Field, model_validator

from ...schemas.base import Noun
from ...schemas.study import Study
from ..prompt import FilledPrompt
from ..prompt_file import content_of, read_prompt_file
from ..teacher import Question
from .answer import MISSING, keys, schema

_PACKAGE = __package__ or ""


class VerifierPromptFile(Noun):
    """verify.yaml, or a file of one's own."""

    version: int = Field(ge=1)
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
        content = content_of(path or resources.files(_PACKAGE).joinpath("verify.yaml"), "verifier.prompt")
        self._file = read_prompt_file(VerifierPromptFile, content, path, "prompt for a verifier", "verifier.prompt")
        self.id = f"{Path(path).stem if path else 'verify'}@{self._file.version}"
        self.sha256 = hashlib.sha256(content.encode()).hexdigest()

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
