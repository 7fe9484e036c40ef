"""The instruction a student is given: one declared text, the same in training and in sampling.

It is a file of distill/prompts, copied byte for byte into the adapter's folder when a student is trained, so that
whoever samples uses the words it was trained with. It knows which report form it asks for, and nothing of chat
templates or tokens.
"""

import hashlib
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ..schemas.errors import RecipeError, cannot_be_read, why
from ..schemas.study import ReportForm

FILE = "prompt.yaml"
_FOLDER = Path(__file__).parent / "prompts"


class Prompt(BaseModel):
    """An instruction and its identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: int
    report_form: ReportForm
    steps: bool = True  # ten steps are requested in front of the report
    text: str

    @property
    def name(self) -> str:
        """Name and version, e.g. ten-steps@1."""
        return f"{self.id}@{self.version}"

    @property
    def sha256(self) -> str:
        """Of the text as the student sees it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def path_of(name: str) -> Path:
    """The file of a shipped prompt.

    Raises:
        RecipeError: there is none of that name.
    """
    path = _FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in _FOLDER.glob("*.yaml")))
        raise RecipeError(f"there is no prompt '{name}'; there are: {known}", field="prompt")
    return path


def name_for(form: ReportForm | None) -> str:
    """The shipped prompt that asks for ten steps and a report of this form."""
    return "ten-steps-verbatim" if form == "verbatim" else "ten-steps"


def report_name_for(form: ReportForm) -> str:
    """The shipped prompt that asks for a report of this form alone."""
    return "report-only-verbatim" if form == "verbatim" else "report-only"


def ten_steps(form: ReportForm) -> Prompt:
    """The same, read."""
    return read(path_of(name_for(form)))


def read(path: Path) -> Prompt:
    """Read a prompt file.

    Raises:
        RecipeError: it is missing or damaged.
    """
    try:
        return Prompt.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise RecipeError(f"the prompt {cannot_be_read(error)}", file=path) from None
    except (ValidationError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"not a prompt ({why(error)})", file=path) from None
