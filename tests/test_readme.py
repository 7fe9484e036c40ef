"""The README's commands exist; CONTRIBUTING's tree and its rule do; the first lines of the Python API are run."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tenstep.cli.app import parser
from tenstep.validators.rule import REFERENCE, ten

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
API = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
CODE = re.findall(r"```python[^\n]*\n(.*?)```", API + CONTRIBUTING, re.S)


def test_one_trace_is_checked_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(CODE[0], {})
    assert capsys.readouterr().out.startswith("False [('step_count'")


def test_a_data_set_is_audited_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    monkeypatch.chdir(tmp_path)
    row = {"id": "a", "text": ten(), "reference_report": REFERENCE}
    Path("traces.jsonl").write_text(json.dumps(row) + "\n")
    exec(CODE[1], {})
    assert capsys.readouterr().out.startswith("1 of 1 accepted")


def test_the_rule_of_contributing_works_once_its_one_line_is_added() -> None:
    module = ModuleType("tenstep.validators.shouting")
    module.__package__ = "tenstep.validators"
    exec(CODE[2], vars(module))
    for case in (*module.PASSES, *module.FAILS):
        codes = {finding.code for finding in module.rule(case.study, case.candidate)}
        assert codes == ({case.code} if case.code else set())
    (line,) = re.findall(r'one line, `(".+?",)`, among the names in `validators/gate.py`', CONTRIBUTING)
    gate = ModuleType("tenstep.validators.gate_with_shouting")
    gate.__package__ = "tenstep.validators"
    sys.modules[module.__name__] = module  # as if its file stood beside the others
    try:
        exec((ROOT / "validators" / "gate.py").read_text().replace('"length",', f'"length",\n{line}'), vars(gate))
    finally:
        del sys.modules[module.__name__]
    case = module.FAILS[0]
    assert case.code in {finding.code for finding in gate.judge(case.study, case.candidate).findings}


def test_every_file_in_the_tree_exists() -> None:
    tree = CONTRIBUTING.split("## The tree")[1].split("```")[1]
    room, named = "", []
    for line in tree.splitlines():
        if found := re.match(r"^(\w+)/", line):
            room = found[1]
        elif line.startswith("  "):
            named += [f"{room}/{name}" for name in re.findall(r"\b[\w/]+\.py\b|\b\w+/", line.strip().split("   ")[0])]
    assert len(named) > 40 and [name for name in named if not (ROOT / name).exists()] == []


def test_every_command_in_the_readme_can_be_parsed() -> None:
    blocks = "\n".join(re.findall(r"```\n(.*?)```", README, re.S))
    lines = re.findall(r"^tenstep (.*?)(?:\s+#.*)?$", blocks, re.M)
    assert len(lines) == 5
    for line in lines:
        parser().parse_args(line.split())


def test_every_link_and_picture_of_the_readme_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
