"""Reads a recipe: YAML without aliases, tags or repeated keys, checked against the noun it is meant to be."""

from collections.abc import Hashable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import ValidationError

from ..schemas.base import Noun
from ..schemas.errors import InputError, RecipeError, RunError, first_fault, why
from .secrets import secret_in

if TYPE_CHECKING:
    from .run import RunFolder

R = TypeVar("R", bound=Noun)
KEPT_OUT = "looks like {}; recipes are stored with every run: name the environment variable that holds it (key_env)"
_LIMIT = 1_000_000  # bytes; a recipe is a page


class _Loader(yaml.SafeLoader):
    """SafeLoader that also refuses what makes a small file large or a line silently lost."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs give it no types
            what = "an alias (*name) is not allowed, write the value itself,"
            raise yaml.constructor.ConstructorError(None, None, what, mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set[Hashable]()
        for name, _ in node.value:
            key = self.construct_object(name, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain", node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key}' stands twice", node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def shipped() -> dict[str, str]:
    """The recipes that come with the package, by name."""
    folder = resources.files(__package__.partition(".")[0]).joinpath("examples", "recipes")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return {file.name.removesuffix(".yaml"): file.read_text("utf-8") for file in files}


def read_recipe(path: Path, noun: type[R]) -> R:
    """Read a recipe.

    Args:
        path: a YAML file.
        noun: what it must be, e.g. CurateRecipe.

    Raises:
        RecipeError: it cannot be read, or has an unknown key or a wrong value; names the key.
    """
    try:
        data = path.read_bytes()
        if len(data) > _LIMIT:
            raise RecipeError(f"larger than {_LIMIT:,} bytes; is this the right file?", file=path)
        found = yaml.load(data, _Loader)  # noqa: S506 a SafeLoader
    except OSError as error:
        ships = path.stem in shipped()
        remedy = f"write the one that ships: tenstep recipe {path.stem} > {path.name}" if ships else "name a YAML file"
        raise RecipeError(f"cannot be read ({error.strerror}); {remedy}", file=path) from None
    except yaml.MarkedYAMLError as error:
        raise _marked(error, path) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise RecipeError("is not a text in UTF-8, as YAML is; save it as UTF-8", file=path) from None
    except RecursionError:
        raise RecipeError("is nested too deeply for a recipe; is this the right file?", file=path) from None
    except (ValueError, OverflowError):  # a date or a number as YAML writes them, which does not exist
        raise RecipeError("holds a date or number that does not exist; put quotes around it", file=path) from None
    if not isinstance(found, dict):
        raise RecipeError("holds no keys and values (key: value); is this the right file?", file=path)
    if (secret := secret_in(found)) is not None:
        raise RecipeError(KEPT_OUT.format(secret[1]), file=path, field=secret[0])
    try:
        return noun.model_validate(found)
    except ValidationError as error:
        message, field = first_fault(error)
        if message == "no such key" and field and "." not in field:
            known = sorted(one.alias or name for name, one in noun.model_fields.items())
            message = f"no such key; known at the top: {', '.join(known)}"
        raise RecipeError(message, file=path, field=field) from None


class _Kind(Noun, extra="ignore"):
    kind: str = ""


def kind_of(path: Path) -> str:
    """What a recipe says that it is; empty if nothing.

    Raises:
        RecipeError: it cannot be read.
    """
    return read_recipe(path, _Kind).kind


def recipe_of_run(run: "RunFolder", noun: type[R], kind: str, needed: str) -> R:
    """The recipe that a run was made with.

    Args:
        run: of any kind.
        noun: what its recipe must be.
        kind: of run that has such a recipe.
        needed: what only such a run can be, for the message.

    Raises:
        InputError: the run is of another kind.
        RunError: its recipe is damaged, or of another version of this code.
    """
    if run.manifest.kind != kind:
        found = run.manifest.kind
        raise InputError(f"holds a {found} run; only a run of tenstep {kind} can be {needed}", file=run.path)
    try:
        return noun.model_validate(run.manifest.recipe)
    except ValidationError as error:
        raise RunError(f"its recipe cannot be read ({why(error)})", file=run.path) from None


def _marked(error: yaml.MarkedYAMLError, path: Path) -> RecipeError:
    """What YAML found wrong and where, without the lines that it quotes."""
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    place = "" if mark is None else f" at column {mark.column + 1}"
    hint = "; indent with spaces" if "'\\t'" in what else ""
    message = f"is not YAML as recipes are written: {what}{place}{hint}"
    return RecipeError(message, file=path, row=None if mark is None else mark.line + 1)
