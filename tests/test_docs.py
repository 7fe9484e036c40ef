"""The documentation says what is true: its commands parse, its Python runs, its reference is made from the code."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tenstep
import yaml
from tenstep.cli.app import COMMANDS, parser
from tenstep.validators.gate import RULES

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^( *)```(\w*)( [^\n]*)?\n(.*?)^ *```", re.S | re.M)
SNIPPET = "--8<--"  # a file of examples/ that stands on the page as it is, and has a test of its own


def blocks(page: Path, *languages: str, titled: bool = True) -> list[str]:
    found = [one for one in BLOCK.finditer(page.read_text("utf-8")) if one[2] in languages and SNIPPET not in one[4]]
    return [one[4] for one in found if titled or not one[3]]


def command_lines() -> list[tuple[str, str]]:
    lines = []
    for page in PAGES:
        for block in blocks(page, "sh", "bash", ""):
            joined = block.replace("\\\n", " ")
            found = re.findall(
                r"^ *(?:[A-Z_]+=\S+ )*(?:torchrun [^#\n]*?-m )?tenstep +(.*?)(?: +\|\|.*)?(?: +#.*)?$", joined, re.M
            )
            lines += [(page.stem, line) for line in found]
    return lines


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_every_command_in_the_documentation_can_be_parsed(page: str, line: str) -> None:
    parser().parse_args(shlex.split(line))


def test_every_command_of_the_tutorial_is_there() -> None:
    """The tutorial from the download to a student names each command that such a project needs."""
    used = {line.split()[0] for page, line in command_lines() if page == "mimic"}
    wanted = {
        "ingest",
        "split",
        "curate",
        "status",
        "review",
        "reviews",
        "select",
        "distill",
        "sample",
        "evaluate",
        "publish",
    }
    assert wanted <= used
    assert used <= set(COMMANDS)


def named_commands() -> list[tuple[str, str]]:
    texts = [(page.stem, BLOCK.sub("", page.read_text("utf-8"))) for page in [*PAGES, ROOT / "README.md"]]
    return [
        (name, one) for name, text in texts for one in re.findall(r"`tenstep ([a-z][^`]*)`", " ".join(text.split()))
    ]


@pytest.mark.parametrize(("page", "line"), sorted(set(named_commands())))
def test_every_command_that_a_sentence_names_exists_with_its_options(page: str, line: str) -> None:
    words = line.split()
    assert words[0] in COMMANDS
    (subparsers,) = (action for action in parser()._actions if isinstance(action.choices, dict))
    known = subparsers.choices[words[0]]._option_string_actions
    assert [word for word in words if word.startswith("--") and word not in known] == []


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_every_python_block_runs_or_where_it_needs_a_card_can_be_parsed(page: Path) -> None:
    for code in blocks(page, "python"):
        ast.parse(code)
    for code in blocks(page, "python", titled=False):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")], ids=lambda page: page.stem)
def test_every_piece_of_a_recipe_has_keys_that_recipes_have(page: Path) -> None:
    from tenstep.curation.judging.recipe import JudgeRecipe
    from tenstep.curation.verifying.recipe import VerifyRecipe
    from tenstep.schemas.ablate_recipe import AblateRecipe
    from tenstep.schemas.curate_recipe import CurateRecipe
    from tenstep.schemas.distill_recipe import DistillRecipe

    nouns = (CurateRecipe, VerifyRecipe, JudgeRecipe, DistillRecipe, AblateRecipe)
    known = {key for noun in nouns for key in noun.model_fields}
    for text in blocks(page, "yaml"):
        assert set(yaml.safe_load(text)) <= known


def test_the_whole_python_api_is_described() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
    homes = {name: "::: tenstep." + ".".join(tenstep._HOMES[name]) for name in tenstep.__all__}
    assert [name for name, line in homes.items() if line not in page] == []


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    rules = (tmp_path / "reference" / "rules" / "index.html").read_text("utf-8")
    assert [code for rule in RULES for code in rule.CODES if code not in rules] == []
    commands = (tmp_path / "reference" / "commands" / "index.html").read_text("utf-8")
    assert [name for name in COMMANDS if f"tenstep {name}" not in commands] == []
    recipes = (tmp_path / "reference" / "recipes" / "index.html").read_text("utf-8")
    assert "reader_overrides" in recipes and "severities" in recipes and "options.base_urls" in recipes
    formats = (tmp_path / "reference" / "formats" / "index.html").read_text("utf-8")
    assert (
        all(f"run/{name}.jsonl" in formats for name in ("accepted", "doubted", "rejected")) and "audit.json" in formats
    )
    errors = (tmp_path / "reference" / "errors" / "index.html").read_text("utf-8")
    assert "there is no such folder; make a study store with: tenstep ingest" in errors
    assert [page for page in tmp_path.rglob("*.html") if "--8" in page.read_text("utf-8")] == []  # a file not taken in
    schemas = (tmp_path / "reference" / "schemas" / "index.html").read_text("utf-8")
    assert [f.name for f in (ROOT / "schemas" / "published").glob("*.json") if f.name not in schemas] == []


def test_the_plugins_stand_on_their_page_as_they_are() -> None:
    page = (ROOT / "docs" / "howto" / "plugins.md").read_text("utf-8")
    files = sorted((ROOT / "examples" / "plugin").rglob("*.py"))
    named = [file for file in files if f'{SNIPPET} "{file.relative_to(ROOT).as_posix()}"' in page]
    assert [file.name for file in files if file not in named] == ["__init__.py"]


def test_messages_are_read_as_the_code_writes_them() -> None:
    sys.path.append(str(ROOT / "scripts"))
    try:
        import docs_errors
    finally:
        sys.path.pop()
    code = """
def f(name, bad):
    why = f"of {bad.kind}" if bad else "because of that"
    raise InputError(f"cannot read '{name}'"
                     f", {len(name)} letters", file=name)
    raise RunError(why)
    raise ValueError("not one of ours")
"""
    found = list(docs_errors._in_file(ast.parse(code), frozenset({"InputError", "RunError"})))
    assert found == [
        ("InputError", "cannot read '{name}', {name} letters"),
        ("RunError", "of {kind}"),
        ("RunError", "because of that"),
    ]


def test_no_page_needs_another_site(tmp_path: Path) -> None:
    """Pages are read offline: no font, script or picture comes from elsewhere."""
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in config
    for page in PAGES:
        assert not re.search(r"!\[[^\]]*\]\(https?:", page.read_text("utf-8")), page


def test_every_key_of_a_recipe_and_field_of_a_record_says_what_it_means() -> None:
    sys.path.append(str(ROOT / "scripts"))
    try:
        import docs_pages
    finally:
        sys.path.pop()
    for page in (docs_pages.recipes, docs_pages.formats):
        lines = [line for part in page() for line in part.splitlines() if line.startswith("| `")]
        assert len(lines) > 100
        assert [line for line in lines if line.endswith("|  |")] == []


def test_the_page_on_installing_names_every_extra() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    named = {name for row in re.findall(r"^\| (`.+?`) \|", page, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(extras) - {"dev", "docs"}
