"""The example recipes: each opens with the command that runs it, and is one that this version understands."""

import re
from pathlib import Path

import pytest
from tenstep.curation.requests.budget import lanes
from tenstep.curation.teacher import load
from tenstep.data.recipes import read_recipe
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import MissingExtraError, TeacherError

ROOT = Path(__file__).parents[1]
RECIPES = ("openai", "anthropic", "local", "embedded", "offline")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_opens_with_its_command_and_loads(name: str) -> None:
    path = ROOT / "examples" / "recipes" / f"{name}.yaml"
    first = path.read_text("utf-8").splitlines()[0]
    assert re.fullmatch(
        rf"# (?:[A-Z]+_API_KEY=\.\.\. )?tenstep curate examples/recipes/{name}\.yaml --studies STUDIES "
        rf"--out runs/{name}(?: --limit 20)?",
        first,
    )
    recipe = read_recipe(path, CurateRecipe)
    assert recipe.name == name
    try:
        teachers = [load(spec) for spec in recipe.teachers]
    except (MissingExtraError, TeacherError) as error:  # or the weights of `embedded`
        pytest.skip(str(error))
    assert lanes(recipe, teachers)[0].price is not None  # a budget in dollars would be refused otherwise


def test_the_recipe_in_the_guide_is_one(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "howto" / "local-teacher.md").read_text("utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", guide, re.S)
    path = tmp_path / "recipe.yaml"
    path.write_text(f"kind: curate\nname: x\n{block}")
    (teacher,) = [load(spec) for spec in read_recipe(path, CurateRecipe).teachers]
    assert len(teacher.endpoints) == 4
