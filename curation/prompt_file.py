"""Prompt files: YAML texts with a version, ours or a user's, as teachers, judges and verifiers are asked with them."""

import hashlib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import yaml
from pydantic import Field, ValidationError

from ..schemas.base import Noun
from ..schemas.errors import RecipeError, cannot_be_read, why


class VersionedFile(Noun):
    """What every prompt file holds."""

    version: int = Field(ge=1)


File = TypeVar("File", bound=VersionedFile)


class PromptText(NamedTuple, Generic[File]):
    """A prompt file that was read."""

    file: File
    id: str  # its name and version: informed@1
    sha256: str


def read_prompt_file(noun: type[File], path: str | Traversable, kind: str, field: str) -> PromptText[File]:
    """Read a prompt file.

    Args:
        noun: what it must be.
        path: a user's file, or ours, from the package.
        kind: what it is to be, e.g. "rubric".
        field: the key of the recipe that names it.

    Raises:
        RecipeError: it cannot be read, or is none of these.
    """
    file = Path(path) if isinstance(path, str) else path
    try:
        content = file.read_text("utf-8")
        found = noun.model_validate(yaml.safe_load(content))
    except OSError as error:
        raise RecipeError(f"the prompt file {cannot_be_read(error)}", file=str(file), field=field) from None
    except UnicodeDecodeError:
        raise RecipeError("the prompt file is not UTF-8; save it as UTF-8", file=str(file), field=field) from None
    except (yaml.YAMLError, ValidationError) as error:
        found_wrong = why(error) if isinstance(error, ValidationError) else "no YAML"
        raise RecipeError(f"is no {kind}: {found_wrong}", file=str(file), field=field) from None
    name = file.name.rpartition(".")[0]
    return PromptText(found, f"{name}@{found.version}", hashlib.sha256(content.encode()).hexdigest())
