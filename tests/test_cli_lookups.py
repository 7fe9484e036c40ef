"""Commands that look things up: rules, recipes, the doctor, failures of a run, two runs compared."""

import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from curation_parts import make_store
from tenstep.__main__ import main
from tenstep.data.recipes import read_recipe, shipped
from tenstep.data.run import RunFolder
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import install_command
from tenstep.schemas.run import Event, State
from tenstep.schemas.study import Study
from tenstep.schemas.verdict import Finding, Verdict
from tenstep.validators import measured
from tenstep.validators.gate import CODES, RULES
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import REFERENCE, ten


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def make_run(folder: Path, accepted: str, others: str, **recipe: Any) -> Path:
    """A run over studies named by letters."""
    studies = [
        Study(id=f"t/{name}", patient_id=name, source="t", data_class="public", report=REFERENCE,
              report_form="four-header")
        for name in "abcdef"
    ]  # fmt: skip
    store = make_store(folder / "studies", studies)
    fields = {"kind": "curate", "name": folder.name, "teachers": [{"kind": "checklist"}], **recipe}
    bad = Verdict(findings=(Finding(rule="leak", code="reference_leak", severity="error", message="m"),))
    with RunFolder.open(
        folder / "run", kind="curate", recipe=CurateRecipe.model_validate(fields), studies=store
    ) as run:
        for name in accepted + others:
            candidate = read_candidate(ten(report=None), f"t/{name}", writes_report=False)
            key = hashlib.sha256(name.encode()).hexdigest()
            run.record(candidate.model_copy(update={"key": key}), Verdict() if name in accepted else bad, raw=b"")
        run.finish()
    return folder / "run"


def test_every_code_is_told_with_what_it_weighs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, "rules")["rules"]
    assert {row["code"] for row in rows} == {code for rule in RULES for code in rule.CODES}
    assert {row["severity"] for row in rows} <= {"error", "doubt", "warning"}


def test_one_code_is_told_with_what_passes_and_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = told(capsys, "rules", "step_count")["rules"]
    assert row["examples"]["fails"] and "exactly ten steps" in row["about"]
    assert main(["rules", "step_count"]) == 0
    assert "It protects" in capsys.readouterr().out
    assert main(["rules", "no_such"]) == 2
    assert "see all with: tenstep rules" in capsys.readouterr().err


def test_what_was_measured_is_of_codes_that_there_are() -> None:
    found = measured.read()
    assert set(found.codes) <= set(CODES)
    assert all(0 <= good <= found.good and 0 <= bad <= found.bad for good, bad in found.codes.values())


def test_recipes_travel_with_the_package_and_can_be_taken_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = told(capsys, "recipe")["recipes"]
    assert {"offline", "tiny", "openai"} <= set(names) == set(shipped())
    for name in names:
        assert main(["recipe", name]) == 0
        mine = tmp_path / f"{name}.yaml"
        mine.write_text(capsys.readouterr().out)
        assert mine.read_text() == shipped()[name]
    read_recipe(tmp_path / "offline.yaml", CurateRecipe)
    assert main(["recipe", "no"]) == 2
    assert "there is no recipe 'no'" in capsys.readouterr().err


def test_a_key_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, "recipe", "--explain", "repair.attempts")["explained"]
    assert [(row["recipe"], row["key"], row["type"]) for row in rows] == [("curate", "repair.attempts", "int")]
    assert main(["recipe", "--explain", "colour"]) == 2
    assert "at the top there are" in capsys.readouterr().err


def test_the_doctor_opens_a_connection_and_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "doctor")
    assert found["extras"]["review"] == [] and found["free_gb"] >= 0
    recipe = "kind: curate\nname: t\nteachers:\n  - {{kind: local, options: {{model: m, base_url: 'http://127.0.0.1:{}'}}}}\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "r.yaml").write_text(recipe.format(port))
        assert list(told(capsys, "doctor", tmp_path / "r.yaml")["servers"].values()) == ["answers"]
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""
    assert main(["doctor", str(tmp_path / "r.yaml")]) == 2
    assert "no connection" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["teachers", "judges", "verifier"])
def test_the_doctor_tries_the_servers_of_every_recipe_that_asks(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = {"teachers": "curate", "judges": "judge", "verifier": "verify"}[key]
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        odd = ["http://[", "http://127.0.0.1:99999/v1", "http://" + "a" * 70 + ".example"]
        spec = {"kind": "local", "options": {"model": "m", "base_urls": [url, *odd]}}
        recipe = {"kind": kind, "name": "t", key: spec if key == "verifier" else [spec]}
        (tmp_path / "r.yaml").write_text(json.dumps(recipe))
        assert main(["doctor", str(tmp_path / "r.yaml"), "--json", str(tmp_path / "out.json")]) == 2
    found = json.loads((tmp_path / "out.json").read_text())["servers"]
    assert [said.split(";")[0].split(" (")[0] for said in found.values()] == [
        "answers", "no address", "no address", "no connection",
    ]  # fmt: skip
    spec["options"] = {"model": "m", "base_urls": None}
    (tmp_path / "r.yaml").write_text(json.dumps(recipe))
    assert main(["doctor", str(tmp_path / "r.yaml")]) == 0


def test_failures_are_grouped_by_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path, "a", "bc")
    store = make_store(tmp_path / "again", [])
    with RunFolder.read(run) as opened:
        recipe = CurateRecipe.model_validate(opened.manifest.recipe)
        store = opened.studies
    with RunFolder.open(run, kind="curate", recipe=recipe, studies=store) as opened:
        for name, seconds in (("d", 12), ("e", 30)):
            key = hashlib.sha256(name.encode()).hexdigest()
            body = {"reason": f"429: retry after {seconds} s"}
            event = Event(key=key, state=State.FAILED, study_id=f"t/{name}", at=0.0, body=body)
            opened.journal.append(event).result()
    reasons = told(capsys, "errors", run)["reasons"]
    assert [(one["kind"], one["reason"], one["count"]) for one in reasons] == [
        ("failed", "429: retry after N s", 2),
        ("reject", "reference_leak", 2),
    ]
    assert reasons[0]["studies"] == ["t/d", "t/e"]


def test_two_runs_are_compared_in_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = make_run(tmp_path / "one", "ab", "cdef")
    other = make_run(tmp_path / "other", "bcdef", "a", prompt="blind")
    found = told(capsys, "compare", one, other)
    assert (found["both"], found["only_first"], found["only_second"], found["neither"]) == (1, 1, 4, 0)
    assert found["p_value"] == pytest.approx(0.375)
    assert "prompt" in found["differs"] and not found["same_recipe"]
    assert main(["compare", str(one), str(other)]) == 0
    assert "McNemar" in capsys.readouterr().out
    (tmp_path / "x").mkdir()
    assert main(["compare", str(one), str(tmp_path / "x")]) == 2


def test_the_demo_says_before_it_starts_that_the_students_libraries_are_absent(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["trl"] = None  # as if it were not installed
from tenstep.__main__ import main
sys.exit(main(["demo", "--out", sys.argv[1]]))
"""
    out = tmp_path / "demo"
    done = subprocess.run([sys.executable, "-c", code, out], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and not out.exists()
    assert "trl is not installed; install it with: pip install" in done.stderr


def test_an_install_hint_is_how_tenstep_was_installed() -> None:
    command = install_command("review")
    assert "[review]" in command
    assert command.startswith("pip install -e '/") or "@ git+https://" in command  # it is not on PyPI
