"""Every recipe that ships is read, and opens with the command that runs it."""

import re
from pathlib import Path

import pytest
import yaml
from tenstep.cli.app import parser
from tenstep.curation.verifying.recipe import VerifyRecipe
from tenstep.data.recipes import read_recipe
from tenstep.distill.prompt import path_of, read
from tenstep.schemas.ablate_recipe import AblateRecipe
from tenstep.schemas.base import Noun
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.distill_recipe import DistillRecipe

ROOT = Path(__file__).parent.parent
RECIPES = sorted([*(ROOT / "examples" / "recipes").glob("*.yaml"), *(ROOT / "data" / "demo").glob("*.yaml")])
NOUNS: dict[str, type[Noun]] = {
    "curate": CurateRecipe,
    "distill": DistillRecipe,
    "ablate": AblateRecipe,
    "verify": VerifyRecipe,
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_its_first_line_is_its_command(path: Path) -> None:
    kind = yaml.safe_load(path.read_text("utf-8"))["kind"]
    read_recipe(path, NOUNS[kind])
    command = re.match(r"# (?:[A-Z_]+=\S+ )?tenstep (.*)", path.read_text("utf-8"))
    assert command is not None
    args = parser().parse_args(command[1].split())
    assert args.recipe == path.relative_to(ROOT)


@pytest.mark.parametrize(("file", "name"), [("report_only", "report-only"), ("ten_steps_then_report", "ten-steps")])
def test_the_example_prompts_are_those_that_students_are_asked_by(file: str, name: str) -> None:
    text = (ROOT / "examples" / "prompts" / f"{file}.txt").read_text("utf-8")
    assert text == read(path_of(name)).text + "\n"
    places = [text.index(f"{header}:") for header in ("Technique", "View", "Findings", "Impression")]
    assert places == sorted(places)
    assert ("exactly ten steps" in text) == (name == "ten-steps")
