"""A verifier's question: one trace beside its reference, from a prompt file; text alone, whoever wrote it.

Hash and version of the file travel into every record and into a calibration, which counts for this prompt only.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Self

import yaml
from pydantic import Field, ValidationError, model_validator

from ...schemas.base import Noun
from ...schemas.errors import RecipeError
from ...schemas.study import Study
from ..prompt import Prompt
from ..teacher import Question
from .answer import MISSING, keys, schema

_PACKAGE = __package__ or ""


class VerifyPrompt(Noun):
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


class Asking:
    """A prompt file, ready to be filled.

    Args:
        path: of the file; ours if none.

    Raises:
        RecipeError: it cannot be read.
    """

    def __init__(self, path: str | None = None) -> None:
        content = _content(path)
        try:
            self._file = VerifyPrompt.model_validate(yaml.safe_load(content))
        except (yaml.YAMLError, ValidationError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "no YAML"
            raise RecipeError(f"is no prompt for a verifier: {why}", file=path, field="verifier.prompt") from None
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
        prompt = Prompt(self.id, self._file.system, user, False, (*keys(len(steps)), MISSING), schema(len(steps)))
        return Question(study.model_copy(update={"images": ()}), prompt, sample=int(problems is not None))


def _content(path: str | None) -> str:
    if path is None:
        return resources.files(_PACKAGE).joinpath("verify.yaml").read_text("utf-8")
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the prompt cannot be read ({error})", file=path, field="verifier.prompt") from None
