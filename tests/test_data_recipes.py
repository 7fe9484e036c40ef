"""Recipes: what is wrong is named by file, line and key."""

from pathlib import Path

import pytest
from tenstep.data.recipes import read_recipe
from tenstep.data.splitting.splits import SplitRecipe
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import RecipeError

GOOD = "kind: curate\nname: t\nteachers:\n  - kind: checklist\n"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


def read(tmp_path: Path, text: str | bytes) -> CurateRecipe:
    path = tmp_path / "r.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_recipe(path, CurateRecipe)


def test_a_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = read(tmp_path, GOOD)
    assert recipe.teachers[0].kind == "checklist"
    assert recipe.repair.attempts == 2
    assert recipe.resend_unknown == "ask"


@pytest.mark.parametrize(
    ("text", "field", "match"),
    [
        (GOOD + "tempo: fast\n", "tempo", "no such key; known at the top: .*teachers"),
        (GOOD + "repair: {tries: 3}\n", "repair.tries", "no such key"),
        (GOOD + "concurrency: 0\n", "concurrency", "greater than or equal to 1"),
        ("kind: curate\nname: t\n", "teachers", "is missing"),
        (GOOD.replace("curate", "distil"), "kind", "curate"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, text: str, field: str, match: str) -> None:
    with pytest.raises(RecipeError, match=match) as caught:
        read(tmp_path, text)
    assert caught.value.field == field
    assert str(tmp_path / "r.yaml") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (BOMB, "alias"),
        ("a: !!python/object/apply:os.system ['true']\n", "python"),
        (GOOD + "name: u\n", "'name' stands twice"),
        ("a: [1, 2\n", "not YAML"),
        ("- a\n- b\n", "keys and values"),
        ("", "keys and values"),
        (b"\x80 abc", "not a text in UTF-8"),
        ("a: " + "x" * 1_000_001, "larger than"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str | bytes, match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        read(tmp_path, text)


def test_the_keys_that_are_known_are_named_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "splits.yaml"
    path.write_text("mood: good\n")
    with pytest.raises(RecipeError, match=r"known at the top: .*test, validate$"):
        read_recipe(path, SplitRecipe)


@pytest.mark.parametrize(
    ("text", "row", "match"),
    [
        (BOMB, 2, r"an alias \(\*name\) is not allowed, write the value itself, at column \d+$"),
        ("kind: curate\n\tname: t\n", 2, "indent with spaces$"),
        ("a: [1, 2\nb: 3\n", 2, "at column 2$"),
    ],
)
def test_what_is_no_yaml_is_named_with_its_place_and_not_quoted(
    tmp_path: Path, text: str, row: int, match: str
) -> None:
    with pytest.raises(RecipeError, match=match) as caught:
        read(tmp_path, text)
    assert caught.value.row == row and "byte string" not in str(caught.value)


def test_a_repeated_key_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, GOOD + "repair:\n  attempts: 1\n  attempts: 2\n")
    assert caught.value.row == 6


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read") as caught:
        read_recipe(tmp_path / "none.yaml", CurateRecipe)
    assert "\n" not in str(caught.value)
