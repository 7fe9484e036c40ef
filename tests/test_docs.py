"""The documentation says what is true: its commands parse, its Python runs, its reference is made from the code."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tenstep.cli.app import COMMANDS, parser
from tenstep.validators.gate import RULES

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.S | re.M)


def blocks(page: Path, *languages: str) -> list[str]:
    return [found[3] for found in BLOCK.finditer(page.read_text("utf-8")) if found[2] in languages]


def command_lines() -> list[tuple[str, str]]:
    lines = []
    for page in PAGES:
        for block in blocks(page, "sh", ""):
            joined = block.replace("\\\n", " ")
            found = re.findall(r"^ *(?:[A-Z_]+=\S+ )*(?:torchrun [^#\n]*?-m )?tenstep +(.*?)(?: +#.*)?$", joined, re.M)
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


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_every_python_block_runs(page: Path) -> None:
    for code in blocks(page, "python"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


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
    assert "reader_overrides" in recipes and "severities" in recipes


def test_no_page_needs_another_site(tmp_path: Path) -> None:
    """Pages are read offline: no font, script or picture comes from elsewhere."""
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in config
    for page in PAGES:
        assert not re.search(r"!\[[^\]]*\]\(https?:", page.read_text("utf-8")), page
