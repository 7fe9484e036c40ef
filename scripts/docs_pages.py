"""The generated half of the documentation: an mkdocs hook that writes the reference from the code at build time.

Rules, recipe keys, commands, record formats, errors and prices are read where they are defined, so a page cannot say
something else than the program does. Nothing is written into the repository. `python scripts/docs_pages.py DIR` writes
the same pages into a folder, for whoever wants them without mkdocs.
"""

import argparse
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

# which file holds which record, for the page of formats
FILES = {
    "accepted.jsonl": "Example",
    "manifest.json": "Manifest",
    "recipe.yaml": "CurateRecipe",
    "selection.json": "Selection",
    "an attestation": "Attestation",
    "an attestation of storage": "StorageAttestation",
}


def pages() -> dict[str, str]:
    """Every generated page: its path under docs/, and its Markdown."""
    made: dict[str, Callable[[], Iterator[str]]] = {
        "reference/rules.md": rules,
        "reference/recipes.md": recipes,
        "reference/commands.md": commands,
        "reference/formats.md": formats,
        "reference/errors.md": errors,
        "reference/prices.md": prices,
    }
    return {path: "\n".join(lines()) + "\n" for path, lines in made.items()}


def rules() -> Iterator[str]:
    """Each rule: what it protects against, its codes, and an example that passes and one that fails."""
    from tenstep.validators.gate import RULES

    yield "# Rules"
    yield (
        "\nA trace is accepted when no rule finds an error and no doubt is left open. A recipe may give every code "
        "another severity (`severities:`). Examples are the rules' own test cases."
    )
    for group in dict.fromkeys(rule.GROUP for rule in RULES):
        yield f"\n## {group.capitalize()}"
        for rule in (one for one in RULES if group == one.GROUP):
            name = rule.__name__.rpartition(".")[2]
            yield f"\n### {name}\n\n{_doc(sys.modules[rule.__name__])}\n"
            yield from _table(("code", "severity"), [(f"`{code}`", weight) for code, weight in rule.CODES.items()])
            for title, case in (("passes", rule.PASSES[0]), *((f"`{one.code}`", one) for one in rule.FAILS)):
                yield f'\n??? example "{title}"\n'
                yield _indented(_fenced(_cut(case.text)))
                if case.code:
                    found = [f for f in rule.rule(case.study, case.candidate) if f.code == case.code]
                    yield _indented("\n".join(f"- {_escaped(one.message)}" for one in found[:2]) + "\n")


def recipes() -> Iterator[str]:
    """Every key of every recipe, with type, default and meaning."""
    from tenstep.schemas import recipe

    yield "# Recipe keys\n\nA recipe is a YAML file. Unknown keys are errors. Keys without a default must be given."
    nouns = ("CurateRecipe", "SampleRecipe", "DistillRecipe", "AblateRecipe", "CalibrateRecipe")
    for name in nouns:
        noun = getattr(recipe, name, None)
        if noun is not None:
            yield f"\n## {name}\n\n{_doc(noun)}\n"
            yield from _fields(noun)


def _fields(noun: type[BaseModel], prefix: str = "") -> Iterator[str]:
    rows: list[tuple[str, ...]] = []
    nested: list[tuple[str, type[BaseModel]]] = []
    for key, field in noun.model_fields.items():
        inner = next(_nouns_in(field.annotation), None)
        if inner is not None:
            nested.append((f"{prefix}{key}", inner))
        rows.append((f"`{prefix}{key}`", _type(field.annotation), _default(field), field.description or ""))
    yield from _table(("key", "type", "default", "meaning"), rows)
    for key, inner in nested:
        yield f"\n**`{key}`**: {_doc(inner)}\n"
        yield from _fields(inner, f"{key}.")


def commands() -> Iterator[str]:
    """The help of every command, as it prints it."""
    from tenstep.cli.app import parser

    root = parser()
    yield "# Commands\n\nEvery command takes `--json [FILE]` for machines. Exit codes: 0 it ran, 1 a fault of tenstep, "
    yield "2 something you can mend (one line says what), 130 interrupted."
    (subparsers,) = (a for a in root._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in subparsers.choices.items():
        text = re.sub(r"\x1b\[[0-9;]*m", "", command.format_help())  # newer Pythons colour help
        yield f"\n## tenstep {name}\n\n{_fenced(text.strip(), 'text')}"


def formats() -> Iterator[str]:
    """Every record that is stored, field by field, and where it lies."""
    from tenstep.schemas.publish import NOUNS, name_of

    yield "# Data formats\n\nRecords are JSON, one object a line in `.jsonl` files; each carries `schema_version`."
    yield "JSON Schemas (2020-12) lie in `schemas/published/` of the package.\n"
    yield from _table(("file", "record"), [(f"`{file}`", f"[{noun}](#{noun.lower()})") for file, noun in FILES.items()])
    for noun in NOUNS:
        yield f"\n## {noun.__name__}\n\n{_doc(noun)}\n\nSchema: `schemas/published/{name_of(noun)}.schema.json`.\n"
        rows = [
            (f"`{key}`", _type(field.annotation), _default(field), field.description or "")
            for key, field in noun.model_fields.items()
        ]
        yield from _table(("field", "type", "default", "meaning"), rows)


def errors() -> Iterator[str]:
    """The error tree: what each kind means."""
    from tenstep.schemas import errors as tree

    yield "# Errors"
    yield (
        "\nAn error names the file, the row and the field, says what to do, and ends the command with exit code 2. "
        "Nothing that was paid for or written before is lost: give the command again once it is mended. With `--json` "
        'the error is an object: `{"error": {"kind", "message", "file", "row", "field"}}`.\n'
    )
    classes = [
        value for value in vars(tree).values() if inspect.isclass(value) and issubclass(value, tree.TenstepError)
    ]
    rows = [
        (f"`{one.__name__}`", ", ".join(f"`{b.__name__}`" for b in one.__bases__), _doc(one).split("\n\n")[0])
        for one in classes
    ]
    yield from _table(("kind", "a kind of", "meaning"), rows)


def prices() -> Iterator[str]:
    """The price table that ships, with the day each entry begins and where it was read."""
    import yaml
    from tenstep.curation.requests import budget as module

    shipped = Path(str(module.__file__)).parent / "prices.yaml"
    table = yaml.safe_load(shipped.read_text("utf-8"))["prices"]
    yield "# Prices\n\nUSD per million tokens; check before a large run. `prices:` in a recipe names your own file.\n"
    keys = ("provider", "model", "since", "input", "cached_input", "output", "source")
    yield from _table(keys, [tuple(str(row.get(key, "")) for key in keys) for row in table])


def _doc(thing: object) -> str:
    """A docstring as Markdown: indented blocks become code."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"\n(?:Args|Returns|Raises|Yields):\n(?:[ \t]+.*\n?|\n)*", "\n", text + "\n")
    return text.strip()


def _nouns_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _nouns_in(inner)


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in get_args(annotation))
    if annotation is type(None):
        return "none"
    if str(origin) == "typing.Literal":
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if origin in (tuple, list):
        inner = [one for one in get_args(annotation) if one is not Ellipsis]
        return "list of " + " and ".join(dict.fromkeys(_type(one) for one in inner))
    if origin is dict:
        return "map of {} to {}".format(*(_type(one) for one in get_args(annotation)))
    return getattr(annotation, "__name__", str(annotation)).replace("|", "or")


def _default(field: Any) -> str:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    return f"`{value}`"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"<(?=[A-Za-z/!<])", "&lt;", text)


def _cut(text: str, most: int = 1_200) -> str:
    return text if len(text) <= most else f"{text[:most]}\n[...]"


def _fenced(text: str, language: str = "text") -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}\n"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n"))


def on_files(files: Any, config: Any) -> Any:
    """mkdocs calls this when it has collected docs/: the generated pages join the others."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def main() -> None:
    """Write the pages into a folder."""
    folder = Path(sys.argv[1])
    for path, text in pages().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


if __name__ == "__main__":
    importlib.invalidate_caches()
    main()
