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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

sys.path.append(str(Path(__file__).parent))  # mkdocs loads this file by its path

import docs_errors
import docs_formats

ROOT = Path(__file__).resolve().parents[1]


def pages() -> dict[str, str]:
    """Every generated page: its path under docs/, and its Markdown."""
    made: dict[str, Callable[[], Iterator[str]]] = {
        "reference/rules.md": rules,
        "reference/recipes.md": recipes,
        "reference/commands.md": commands,
        "reference/formats.md": formats,
        "reference/schemas.md": schemas,
        "reference/errors.md": errors,
        "reference/prices.md": prices,
    }
    return {path: "\n".join(lines()) + "\n" for path, lines in made.items()}


def rules() -> Iterator[str]:
    """Each rule: what it protects against, its codes, and an example that passes and one that fails."""
    from tenstep.validators import measured
    from tenstep.validators.gate import RULES

    found = measured.read()
    yield "# Rules"
    yield (
        "\nA trace is accepted when no rule finds an error and no doubt is left open. A recipe may give every code "
        "another severity (`severities:`). Examples are the rules' own test cases.\n\n"
        f"*Good hit* and *bad hit*: how many traces the code hit, of {found.of}. A hit on a good trace is a false "
        "alarm; a hit on a bad one need not be on its mistake. *Precision*: the share of the traces hit that are bad; "
        "empty for a code that hit none, and vague where few were hit. `tenstep rules --measured RUN` has it for your "
        "own reports, by the decisions of your readers. `tenstep rules CODE` explains a code in the terminal.\n"
    )
    yield "| severity | effect |\n|---|---|\n| error | the trace is rejected |"
    yield "| doubt | it waits for a verifier or a reader |\n| warning | it is recorded |"
    if not found.current:
        yield "\nThe rules have changed since they were measured: `python -m benchmarks.code_precision --write`."
    for group in dict.fromkeys(rule.GROUP for rule in RULES):
        yield f"\n## {group.capitalize()}"
        for rule in (one for one in RULES if group == one.GROUP):
            name = rule.__name__.rpartition(".")[2]
            yield f"\n### {name}\n\n{_doc(sys.modules[rule.__name__])}\n"
            hits = {code: found.codes.get(code) or (0, 0) for code in rule.CODES}
            rows = [
                (f"`{code}`", weight, *map(str, hits[code]), f"{hits[code][1] / sum(hits[code]):.0%}")
                if any(hits[code])
                else (f"`{code}`", weight, "0", "0", "")
                for code, weight in rule.CODES.items()
            ]
            yield from _table(("code", "severity", "good hit", "bad hit", "precision"), rows)
            for title, case in (("passes", rule.PASSES[0]), *((f"`{one.code}`", one) for one in rule.FAILS)):
                yield f'\n??? example "{title}"\n'
                yield _indented(_fenced(_cut(case.text)))
                if case.code:
                    said = [f for f in rule.rule(case.study, case.candidate) if f.code == case.code]
                    yield _indented("\n".join(f"- {_escaped(one.message)}" for one in said[:2]) + "\n")


def recipes() -> Iterator[str]:
    """Every key of every recipe, with type, default and meaning."""
    from tenstep.curation.judging.recipe import JudgeRecipe
    from tenstep.curation.verifying.recipe import VerifyRecipe
    from tenstep.data.splitting.splits import SplitRecipe
    from tenstep.schemas.ablate_recipe import AblateRecipe
    from tenstep.schemas.curate_recipe import CurateRecipe
    from tenstep.schemas.distill_recipe import DistillRecipe
    from tenstep.schemas.sample_recipe import SampleRecipe

    yield "# Recipe keys\n\nA recipe is a YAML file. An unknown key is an error. *required*: the key has no default."
    yield "`tenstep recipe` lists the recipes that ship, `tenstep recipe NAME` prints one to start from, and"
    yield "`tenstep recipe --explain KEY` prints the lines of this page for one key. Paths are relative to the folder"
    yield "in which the command is given, except for `rules` and an ablation's recipes: relative to the recipe."
    done: dict[type[BaseModel], str] = {}
    for noun in (CurateRecipe, VerifyRecipe, JudgeRecipe, SplitRecipe, DistillRecipe, AblateRecipe, SampleRecipe):
        kind = noun.model_fields["kind"]
        yield f"\n## kind: {_type(kind.annotation).strip('`')}\n\n{_doc(noun)}\n"
        yield from _fields(noun, done)
    yield "\n## Options of teachers\n\nWhat `options` of a teacher, a verifier or a judge may hold, by its `kind`.\n"
    for file in sorted((ROOT / "curation" / "teachers").glob("[a-z]*.py")):
        module = importlib.import_module(f"tenstep.curation.teachers.{file.stem}")
        yield f"\n### {file.stem.replace('_', '-')}\n\n{_doc(module).split(chr(10) * 2)[0]}\n"
        yield from _fields(module.Options, done, "options.") if module.Options.model_fields else ("No options.",)


def _fields(noun: type[BaseModel], done: dict[type[BaseModel], str], prefix: str = "") -> Iterator[str]:
    """A table of a record's keys, then those of the records in it; a record that the page has already is linked."""
    rows: list[tuple[str, ...]] = []
    nested: list[tuple[str, type[BaseModel]]] = []
    for name, field in noun.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        meaning = field.description or ""
        if inner := next(_nouns_in(field.annotation), None):
            described = any(one.description for one in inner.model_fields.values())
            if described and inner not in done:
                done[inner] = f"keys-of-{inner.__name__.lower()}"
                nested.append((key, inner))
            meaning = meaning or _first(inner)
            meaning += f" [Its keys](#{done[inner]})." if described else ""
        rows.append((f"`{key}`", _type(field.annotation), _default(field), meaning))
    yield from _table(("key", "type", "default", "meaning"), rows)
    for key, inner in nested:
        yield f'\n<span id="{done[inner]}"></span>**`{key}`**: {_doc(inner)}\n'
        yield from _fields(inner, done, f"{key}.")


def commands() -> Iterator[str]:
    """The help of every command, as it prints it."""
    from tenstep.cli.app import parser

    root = parser()
    yield (
        "# Commands\n\nWhat `tenstep COMMAND --help` prints. Every command takes `--json [FILE]`, which prints its "
        "result as JSON or writes it to a file.\n\nExit codes: 0 the command ran; 1 a fault of tenstep, or what the "
        "command's help says; 2 something that you can correct, which one line names; 130 interrupted.\n"
    )
    for name, command in _commands(root):
        about = _escaped(_said(command).partition("\n")[0])
        yield f"- [`tenstep {name}`](#tenstep-{name}): {about}"
    for name, command in _commands(root):
        text = re.sub(r"\x1b\[[0-9;]*m", "", command.format_help())  # newer Pythons colour help
        yield f"\n## tenstep {name}\n\n{_fenced(text.strip(), 'text')}"


def _commands(root: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    (subparsers,) = (a for a in root._actions if isinstance(a, argparse._SubParsersAction))
    yield from subparsers.choices.items()


def _said(command: argparse.ArgumentParser) -> str:
    """What a command is for: the first sentence of its description."""
    return re.split(r"(?<=\.) ", " ".join((command.description or "").split()))[0]


def formats() -> Iterator[str]:
    """Every folder and file, a line of each, and every record field by field."""
    from tenstep.schemas.publish import NOUNS, name_of

    yield "# Data formats\n\nRecords are JSON, one object a line in `.jsonl` files; each has a `schema_version`. Skip"
    yield "keys that you do not know: later versions may add some. [JSON Schemas](schemas.md) say what there must be."
    yield from docs_formats.folders()
    yield from docs_formats.exports()
    yield from docs_formats.lines()
    yield "\n# Records\n"
    done = {noun: noun.__name__.lower() for noun in NOUNS}
    yield "The fields of every record; those of records within a record stand below it."
    published = [noun for noun in NOUNS if not noun.__name__.endswith("Recipe")]
    for noun in (*published, *docs_formats.unpublished()):
        schema = f" Schema: [{name_of(noun)}](schemas.md#{name_of(noun)})." if noun in published else ""
        yield f"\n## {noun.__name__}\n\n{_doc(noun)}{schema}\n"
        yield from _fields(noun, done)
    yield "\nRecipes have [a page of their own](recipes.md).\n"


def schemas() -> Iterator[str]:
    """The published JSON Schemas, whole."""
    from tenstep.schemas.publish import NOUNS, name_of

    yield "# JSON Schemas\n\nJSON Schema 2020-12 of every record and recipe, for other languages. The same files lie in"
    yield "`schemas/published/` of the package; a test compares them with the code.\n"
    for noun in NOUNS:
        name = name_of(noun)
        text = (ROOT / "schemas" / "published" / f"{name}.schema.json").read_text("utf-8")
        yield f"\n## {name}\n\n{_doc(noun).split(chr(10) * 2)[0]}\n"
        yield f'??? note "{name}.schema.json"\n'
        yield _indented(_fenced(text.strip(), "json"))


def errors() -> Iterator[str]:
    """The error tree: what each kind means, and every message."""
    from tenstep.schemas import errors as tree

    yield "# Errors"
    yield (
        "\nAn error names the file, the row and the field, and ends the command with exit code 2. Nothing that was "
        "paid for or written before is lost: correct the cause and repeat the command. With `--json` the error "
        'is an object: `{"error": {"kind", "message", "file", "row", "field"}}`. In Python, catch `TenstepError`.\n\n'
        "Exit code 1 with a traceback is a fault of tenstep: please report it, without texts of restricted data.\n"
    )
    classes = [
        value for value in vars(tree).values() if inspect.isclass(value) and issubclass(value, tree.TenstepError)
    ]
    rows = [
        (f"`{one.__name__}`", ", ".join(f"`{b.__name__}`" for b in one.__bases__), *_paragraphs(one)) for one in classes
    ]
    yield from _table(("kind", "a kind of", "meaning", "what to do"), rows)
    found = docs_errors.messages(ROOT, frozenset(one.__name__ for one in classes))
    yield f"\n## The {len(found)} messages\n"
    yield (
        "Search this page for the words that you see. Words in braces are filled in, and the file, the row and the "
        "field come before the message. Messages are grouped by the part of tenstep that they come from."
    )
    for room in dict.fromkeys(one.room for one in found):
        yield f"\n### {room}\n"
        yield from _table(("message", "kind"), [(one.text, f"`{one.kind}`") for one in found if one.room == room])


def prices() -> Iterator[str]:
    """The price table that ships, with the day each entry begins and where it was read."""
    import yaml
    from tenstep.curation.requests import budget as module

    shipped = Path(str(module.__file__)).parent / "prices.yaml"
    text = shipped.read_text("utf-8")
    table = yaml.safe_load(text)["prices"]
    read = re.search(r"Read on ([\d-]+)", text)
    yield "# Prices\n"
    yield f"USD per million tokens, read on {read[1] if read else 'an unknown day'} from the pages named; check them"
    yield "before a large run. Of the entries for a model, the latest that had begun on the day counts. `prices:` in a"
    yield "recipe names a file of your own, whose entries go before these. A model that is not here has no known price,"
    yield "never 0.\n"
    keys = ("provider", "model", "since", "input", "cached_input", "output", "source")
    yield from _table(keys, [tuple(str(row.get(key, "")) for key in keys) for row in table])


def labelled() -> Iterator[str]:
    """The rules alone on the labelled set that ships: a table with intervals."""
    from tenstep.curation.verifying.labelled import labelled_set
    from tenstep.data.statistics import wilson
    from tenstep.validators.check import check

    outcomes: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for trace in labelled_set().traces:
        steps = "\n".join(f"{number}. {step}" for number, step in enumerate(trace.steps, 1))
        study = trace.study
        found = check(f"{steps}\n\n{study.report}", study.report, views=study.views, has_prior=study.has_prior)
        outcomes[trace.good][found.outcome] += 1
    rows = []
    for good, counts in outcomes.items():
        shares = [wilson(counts[outcome], counts.total()) for outcome in ("accept", "doubt", "reject")]
        cells = [f"{one.share:.0%} ({one.low:.0%} to {one.high:.0%})" for one in shares]
        rows.append((f"{counts.total()} {'good' if good else 'corrupted'}", *cells))
    yield from _table(("traces", "accepted", "in doubt", "rejected"), rows)


def _paragraphs(error: type[Exception]) -> tuple[str, str]:
    """What an error means, and what to do: the first two paragraphs of its docstring."""
    meaning, _, advice = _doc(error).partition("\n\n")
    page = {"docs/howto/teacher.md": "../howto/teacher.md", "docs/install.md": "../install.md"}
    for file, link in page.items():
        advice = advice.replace(file, f"[{Path(file).stem}]({link})")
    return meaning, advice


def _first(thing: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(_doc(thing).split("\n\n")[0].split())


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
    if origin is Annotated:
        return _type(get_args(annotation)[0])
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
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel) or value == "":
        return ""
    if isinstance(value, dict) and value and all(isinstance(one, BaseModel) for one in value.values()):
        return ", ".join(f"`{key}`" for key in value)
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"<(?=[A-Za-z/!<])", "&lt;", text)  # a tag to Markdown


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


def on_page_markdown(markdown: str, **_: Any) -> str:
    """mkdocs calls this for every page: figures that are computed take the place of their marker."""
    marker = "<!-- generated: labelled -->"
    return markdown.replace(marker, "\n".join(labelled())) if marker in markdown else markdown


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
