"""`tenstep recipe`: the recipes that come with tenstep, and what a key of a recipe means."""

import argparse
import re
from collections.abc import Iterator
from typing import Any, get_args

from ..schemas.outcome import Outcome, Table


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    recipe = commands.add_parser(
        "recipe",
        help="recipes to start from, and what their keys mean",
        epilog="examples:\n  tenstep recipe                                  which there are\n"
        "  tenstep recipe offline > mine.yaml              one to change\n"
        "  tenstep recipe --explain budget                 what a key means, in every kind of recipe\n"
        "  tenstep recipe --explain repair.attempts",
    )
    recipe.add_argument("name", nargs="?", metavar="NAME")
    recipe.add_argument("--explain", metavar="KEY", help="a key, or a key in a key: budget.usd")
    recipe.set_defaults(run=_recipe, json_keys=(frozenset({"recipes", "explained"}), frozenset({"name", "text"})))


def _recipe(args: argparse.Namespace) -> Outcome:
    from ..data.recipes import shipped
    from ..schemas.errors import InputError

    if args.explain and args.name:
        raise InputError(f"--explain tells a key of every kind of recipe; leave out '{args.name}'")
    if args.explain:
        return _explain(args.explain)
    found = shipped()
    if args.name is None:
        rows = tuple((name, _about(text)) for name, text in found.items())
        return Outcome(
            payload={"recipes": list(found), "explained": []},
            tables=(Table(title="recipes", columns=("name", "what it does"), rows=rows),),
            notes=("to change one: tenstep recipe NAME > mine.yaml; its keys: tenstep recipe --explain KEY",),
            private=False,
        )
    if args.name not in found:
        raise InputError(f"there is no recipe '{args.name}'; there are: {', '.join(found)}")
    text = found[args.name]
    return Outcome(payload={"name": args.name, "text": text}, notes=(text.rstrip("\n"),), private=False)


def _about(text: str) -> str:
    """The first sentence of the comment above a recipe that is no command."""
    lines = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    said = " ".join(line for line in lines if line and not re.match(r"([A-Z_]+=\S+ )?tenstep ", line))
    return said.partition(". ")[0].rstrip(".")


def _explain(key: str) -> Outcome:
    from ..curation.judging.recipe import JudgeRecipe
    from ..curation.verifying.recipe import VerifyRecipe
    from ..data.splitting.splits import SplitRecipe
    from ..schemas.ablate_recipe import AblateRecipe
    from ..schemas.curate_recipe import CurateRecipe
    from ..schemas.distill_recipe import DistillRecipe
    from ..schemas.errors import InputError
    from ..schemas.sample_recipe import SampleRecipe

    kinds = {
        "curate": CurateRecipe,
        "verify": VerifyRecipe,
        "judge": JudgeRecipe,
        "split": SplitRecipe,
        "distill": DistillRecipe,
        "ablate": AblateRecipe,
        "sample": SampleRecipe,
    }
    rows = [
        (kind, path, *described)
        for kind, noun in kinds.items()
        for path, *described in _fields(noun)
        if path == key or path.startswith(f"{key}.") or path.endswith(f".{key}")
    ]
    if not rows:
        known = sorted({path for noun in kinds.values() for path, *_ in _fields(noun) if "." not in path})
        raise InputError(f"no recipe has a key '{key}'; at the top there are: {', '.join(known)}")
    columns = ("recipe", "key", "type", "default", "what it is")
    return Outcome(
        payload={"recipes": [], "explained": [dict(zip(columns, row, strict=True)) for row in rows]},
        tables=(Table(columns=columns, rows=tuple(rows)),),
        private=False,
    )


def _fields(noun: Any, above: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Every key of a recipe with its type, default and description, and the keys within it."""
    for name, field in noun.model_fields.items():
        path = f"{above}{field.alias or name}"
        default = "required" if field.is_required() else str(field.get_default(call_default_factory=True))
        yield path, _type(field.annotation), default[:60], field.description or ""
        for inner in _nouns(field.annotation):
            yield from _fields(inner, f"{path}.")


def _type(annotation: Any) -> str:
    text = getattr(annotation, "__name__", None) if not get_args(annotation) else None
    return re.sub(r"typing\.|tenstep\.schemas\.(recipe|learning)\.", "", text or str(annotation))[:60]


def _nouns(annotation: Any) -> Iterator[Any]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        if part is not annotation:
            yield from _nouns(part)
