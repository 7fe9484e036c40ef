"""`tenstep ablate`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import RecipeError
from ..schemas.outcome import Outcome, Table
from .progress import progress

if TYPE_CHECKING:
    from ..schemas.ablate_recipe import AblateRecipe

_EXAMPLES = """\
examples:
  tenstep ablate examples/recipes/worth.yaml --run runs/curated --unseen studies/unseen --out ablation
  tenstep ablate examples/recipes/stage2-ablation.yaml --run runs/selected --unseen studies/unseen --out stage2

arms are trained on equally many rows, for equally many steps, from one base, and compared on the same unseen studies;
the same command again continues after a kill
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep ablate`."""
    parser = commands.add_parser("ablate", help="measure what curation is worth: students that differ in one thing")
    parser.epilog = _EXAMPLES
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--run", type=Path, dest="run_folder", help="a curation run, in place of the recipe's")
    parser.add_argument("--unseen", type=Path, metavar="STORE", help="a study store, in place of the recipe's")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder; an old one is continued")
    parser.set_defaults(run=_ablate, json_keys=(frozenset({"arms", "rows", "case_mix"}),))


def _ablate(args: argparse.Namespace) -> Outcome:
    from ..data.recipes import read_recipe
    from ..distill.ablate import report
    from ..distill.ablate.ablation import ablate
    from ..schemas.ablate_recipe import AblateRecipe

    recipe = _located(read_recipe(args.recipe, AblateRecipe), args.recipe.parent)
    run = _named(args.run_folder or recipe.run, "run", args.recipe)
    unseen = _named(args.unseen or recipe.unseen, "unseen", args.recipe)
    with progress(None, "ablate") as bar:
        ablation = ablate(recipe, run, unseen, args.out, on_progress=lambda _what, done, total: bar.reach(done, total))
    files = report.write(ablation, args.out)
    grids = (report.figures(ablation, short=True), report.paired(ablation, short=True), report.case_mix(ablation))
    return Outcome(
        payload={"out": str(args.out), **ablation.model_dump(mode="json")},
        tables=tuple(Table(title=grid.title, columns=grid.columns, rows=grid.rows) for grid in grids),
        notes=(report.summary(ablation), *ablation.notes, f"{args.out}: {', '.join(file.name for file in files)}"),
    )


def _located(recipe: "AblateRecipe", folder: Path) -> "AblateRecipe":
    """With the students' recipes as paths from here; in the file they may be relative to its folder."""

    def found(path: str) -> str:
        near = folder / path
        return str(near) if near.is_file() else path

    arms = {
        name: arm.model_copy(update={"recipe": found(arm.recipe)}) if arm.recipe else arm
        for name, arm in recipe.arms.items()
    }
    return recipe.model_copy(update={"student": found(recipe.student), "arms": arms})


def _named(path: Path | str | None, field: str, recipe: Path) -> Path:
    if path is None:
        raise RecipeError(f"says no {field}; name it here or with --{field}", file=recipe, field=field)
    return Path(path)
