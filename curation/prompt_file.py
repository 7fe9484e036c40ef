"""Prompt files: YAML texts with a version, ours or a user's, as teachers, judges and verifiers are asked with them."""

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from ..schemas.base import Noun
from ..schemas.errors import RecipeError, first_fault

File = TypeVar("File", bound=Noun)


def content_of(file: Path | str | Traversable, field: str) -> str:
    """A prompt file's text, which is hashed into records.

    Args:
        file: a user's, by its path; or ours, from the package.
        field: the key of the recipe that names it.

    Raises:
        RecipeError: it cannot be read.
    """
    try:
        return (Path(file) if isinstance(file, str) else file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the prompt file cannot be read ({error})", file=str(file), field=field) from None


def read_prompt_file(noun: type[File], content: str, file: str | None, kind: str, field: str | None = None) -> File:
    """What stands in a prompt file.

    Args:
        noun: what it must be.
        content: its text.
        file: its path, for the message.
        kind: what it is to be, e.g. "rubric".
        field: the key of the recipe that names it.

    Raises:
        RecipeError: it is none of these.
    """
    try:
        return noun.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, ValidationError) as error:
        why = first_fault(error)[0] if isinstance(error, ValidationError) else "no YAML"
        raise RecipeError(f"is no {kind}: {why}", file=file, field=field) from None
