"""The command line as its user meets it: one clear line, the right exit code, valid JSON whatever happens."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tenstep.__main__ import main
from tenstep.validators.rule import REFERENCE, ten

RECIPE = "kind: curate\nname: t\nteachers:\n  - kind: checklist\n"


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    source = tmp_path / "in.jsonl"
    rows = [{"id": name, "report": REFERENCE} for name in ("a", "b", "c")]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["ingest", "jsonl", str(source), "--text-only", "--out", str(tmp_path / "studies")]) == 0
    return tmp_path / "studies"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def run_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([str(word) for word in words])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


def test_help_lists_the_commands_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    told = capsys.readouterr().out
    assert caught.value.code == 0
    for command in ("demo", "ingest", "curate", "audit", "distill", "sample", "review", "findings"):
        assert f"\n    {command} " in told
    assert "examples:" in told


def test_ingest_and_curate_end_with_a_table_and_a_second_run_does_nothing(
    tmp_path: Path, studies: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["curate", str(recipe), "--studies", str(studies), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "accepted" in told and "peak memory" in told
    assert main(words) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_json_holds_the_counts(tmp_path: Path, studies: Path, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("curate", recipe, "--studies", studies, "--out", tmp_path / "run", "--json")
    code, found = run_json(capsys, *words)
    assert (code, found["studies"], found["accepted"], found["rejected"]) == (0, 3, 3, 0)
    assert found["spend_usd"] == 0.0


@pytest.mark.parametrize(
    ("words", "kind", "part"),
    [
        (["curate", "none.yaml", "--out", "run"], "RecipeError", "none.yaml"),
        (["curate", "{bad}", "--out", "run"], "RecipeError", "tempo"),
        (["curate", "{recipe}", "--studies", "nowhere", "--out", "run"], "InputError", "nowhere"),
        (["curate", "{recipe}", "--out", "run"], "RecipeError", "--studies"),
        (["curate", "{soft}", "--out", "run"], "RecipeError", "always an error"),
        (["audit", "none.jsonl"], "InputError", "none.jsonl"),
        (["review", "nowhere"], "RunError", "nowhere"),
        (["ingest", "jsonl", "none.jsonl", "--text-only", "--out", "s"], "InputError", "none.jsonl"),
        (["ingest", "no-such-kind", "x", "--out", "s"], "InputError", "no-such-kind"),
        (["no-such-command"], "InputError", "no-such-command"),
        (["curate"], "InputError", "RECIPE"),
    ],
)
def test_a_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path,
    recipe: Path,
    words: list[str],
    kind: str,
    part: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.yaml"
    bad.write_text(RECIPE + "tempo: fast\n")
    soft = tmp_path / "soft.yaml"
    soft.write_text(RECIPE + "studies: s0\nseverities: {step_count: warning}\n")
    line = [word.format(bad=bad, recipe=recipe, soft=soft) for word in words]
    assert main(line) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("tenstep: ") and told.err.count("\n") == 1
    assert part in told.err
    code, found = run_json(capsys, *line, "--json")
    assert code == 2
    assert found["error"]["kind"] == kind
    assert not (tmp_path / "run").exists() and not (tmp_path / "s").exists()


def test_audit_follows_its_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": "good", "text": ten(), "reference_report": REFERENCE, "views": ["PA"]},
        {"id": "nine", "text": ten().replace("10. ", ""), "reference_report": REFERENCE},
        {"id": 3, "text": ten()},
    ]
    path = tmp_path / "traces.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["audit", str(path), "--json", str(tmp_path / "out.json")]) == 0
    told = capsys.readouterr().out
    assert "1 of 3 rows have no reference_report" in " ".join(told.split())
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["rows"], found["accepted"]) == (3, 2)
    assert [item["id"] for item in found["items"]] == ["good", "nine", "3"]
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600  # nobody said that the texts are public
    nine = found["items"][1]
    assert nine["accepted"] is False
    assert {"rule", "code", "severity", "step", "message"} == set(nine["findings"][0])
    assert found["codes"]["step_count"] == 1


def test_audit_names_the_rows_it_cannot_read_and_judges_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "traces.jsonl"
    good = json.dumps({"id": "a", "text": ten(), "reference_report": REFERENCE}).encode()
    path.write_bytes(b"\n".join([good, b"{torn", b'{"id": "b"}', b"\xff\xfe", b"[]", good]))
    code, found = run_json(capsys, "audit", path, "--json")
    assert (code, found["rows"], found["accepted"]) == (2, 2, 2)
    assert [bad["row"] for bad in found["unreadable"]] == [2, 3, 4, 5]
    assert found["unreadable"][1]["field"] == "text"


def test_a_run_folder_can_be_audited(
    tmp_path: Path, studies: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["curate", str(recipe), "--studies", str(studies), "--out", str(tmp_path / "run")])
    code, found = run_json(capsys, "audit", tmp_path / "run", "--json")
    assert (code, found["rows"], found["accepted"]) == (0, 3, 3)


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "tenstep", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tenstep ")
