"""Recheck: a run judged again without a call, and what changed said by rule."""

import json
from pathlib import Path
from typing import Any

import pytest
from tenstep.__main__ import main
from tenstep.data.processes import Processes
from tenstep.data.run import RunFolder
from tenstep.schemas.candidate import Candidate
from tenstep.schemas.errors import RunLockedError
from tenstep.schemas.verdict import Finding, Verdict
from tenstep.validators.rule import REFERENCE, ten

GOOD = ten(report=None)
LEAK = ten({5: "Lungs: as the report states, both lungs are clear."}, report=None)
OLD = Finding(rule="gone", code="old_rule", severity="error", message="A rule that no longer exists.")
ASIDE = Finding(rule="gone", code="old_hint", severity="warning", message="A hint that no longer exists.")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four studies: a and b well written, c leaks the report, d refused."""
    source, script = tmp_path / "in.jsonl", tmp_path / "script.jsonl"
    source.write_text("".join(json.dumps({"id": name, "report": REFERENCE}) + "\n" for name in "abcd"))
    texts = {"a": [GOOD], "b": [GOOD], "c": [LEAK], "d": []}
    script.write_text("".join(json.dumps({"id": f"jsonl/{k}", "texts": v}) + "\n" for k, v in texts.items()))
    recipe = {"kind": "curate", "name": "t", "repair": {"attempts": 0}}
    recipe["teachers"] = [{"kind": "scripted", "options": {"script": str(script), "log": str(tmp_path / "asked")}}]
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["ingest", "jsonl", str(source), "--text-only", "--out", str(tmp_path / "studies")]) == 0
    words = ["curate", str(tmp_path / "recipe.yaml"), "--studies", str(tmp_path / "studies")]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def record(path: Path, change: dict[str, Verdict]) -> None:
    """As if older rules had given these verdicts."""
    from tenstep.curation.amend import amend

    amend(path, lambda run, candidate, verdict: change.get(candidate.study_id, verdict))


def verdicts(path: Path) -> dict[str, tuple[Candidate, Verdict]]:
    with RunFolder.read(path) as run:
        return {candidate.study_id: (candidate, verdict) for candidate, verdict in run.judged()}


def recheck(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["recheck", str(path), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_rules_that_did_not_change_change_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "accepted.jsonl").read_bytes(), len(list(events(run)))
    found = recheck(run, capsys)
    assert (found["candidates"], found["changed"], found["now_accepted"]) == (3, [], 0)
    assert ((run / "accepted.jsonl").read_bytes(), len(list(events(run)))) == before
    assert main(["recheck", str(run)]) == 0
    assert "no verdict changed" in capsys.readouterr().out


def events(path: Path) -> list[str]:
    with RunFolder.read(path) as run:
        return [event.state for event in run.journal.events()]


def test_changed_verdicts_are_told_with_the_rule_and_the_tables_follow(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(run, {"jsonl/a": Verdict(findings=(OLD,)), "jsonl/b": Verdict(findings=(ASIDE,)), "jsonl/c": Verdict()})
    assert [line["study"]["id"] for line in lines(run / "accepted.jsonl")] == ["jsonl/b", "jsonl/c"]
    asked = (tmp_path / "asked").read_text()
    found = recheck(run, capsys)
    assert (found["candidates"], found["now_accepted"], found["now_rejected"]) == (3, 1, 1)
    by = {one["study_id"]: one for one in found["changed"]}
    assert by["jsonl/a"]["rules"] == ["gone: old_rule"] and by["jsonl/a"]["accepted"]
    assert by["jsonl/c"]["rules"] == ["leak: reference_leak"] and not by["jsonl/c"]["accepted"]
    assert by["jsonl/b"]["was_accepted"] == by["jsonl/b"]["accepted"]
    assert [line["study"]["id"] for line in lines(run / "accepted.jsonl")] == ["jsonl/a", "jsonl/b"]
    assert (found["accepted_before"], found["counts"]["accepted"], found["counts"]["studies"]) == (2, 2, 4)
    assert (tmp_path / "asked").read_text() == asked
    with RunFolder.read(run) as folder:
        assert folder.manifest.finished is not None
    assert recheck(run, capsys)["changed"] == []


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_table_names_studies_and_rules(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(run, {"jsonl/a": Verdict(findings=(OLD,))})
    assert main(["recheck", str(run)]) == 0
    told = capsys.readouterr().out
    assert "gone: old_rule" in told and "now accepted" in told and "jsonl/a" in told


def test_what_a_judge_found_outlives_a_recheck(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judged = Finding(rule="judge", code="judge_coherence", severity="error", message="No order. (coherence 1 of 5)")
    record(run, {"jsonl/a": Verdict(findings=(judged,))})
    assert recheck(run, capsys)["changed"] == []
    assert verdicts(run)["jsonl/a"][1].findings == (judged,)


def test_a_run_under_way_stays_unfinished(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = run / "manifest.json"
    fields = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(fields | {"finished": None}))
    recheck(run, capsys)
    assert json.loads(manifest.read_text())["finished"] is None


def test_another_process_at_work_is_left_alone(run: Path) -> None:
    from tenstep.curation.amend import _Resolved
    from tenstep.curation.recheck import recheck

    with RunFolder.read(run) as folder:
        manifest, store = folder.manifest, folder.studies
    recipe = _Resolved.model_validate(manifest.recipe)
    with RunFolder.open(run, kind="curate", recipe=recipe, studies=store), pytest.raises(RunLockedError):
        recheck(run)


def test_several_processes_judge_the_same_in_the_same_order(tmp_path: Path) -> None:
    from tenstep.curation.recheck import recheck as again

    source, script = tmp_path / "in.jsonl", tmp_path / "script.jsonl"
    names = [f"s{at}" for at in range(150)]
    source.write_text("".join(json.dumps({"id": name, "report": REFERENCE}) + "\n" for name in names))
    script.write_text("".join(json.dumps({"id": f"jsonl/{name}", "texts": [GOOD]}) + "\n" for name in names))
    recipe: dict[str, Any] = {"kind": "curate", "name": "t", "repair": {"attempts": 0}}
    recipe["teachers"] = [{"kind": "scripted", "options": {"script": str(script)}}]
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["ingest", "jsonl", str(source), "--text-only", "--out", str(tmp_path / "studies")]) == 0
    words = ["curate", str(tmp_path / "recipe.yaml"), "--studies", str(tmp_path / "studies")]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    record(tmp_path / "run", {f"jsonl/{name}": Verdict(findings=(OLD,)) for name in names[::3]})
    alone = again(tmp_path / "run", dry_run=True)
    together = again(tmp_path / "run", dry_run=True, executor=Processes(2))
    assert together == alone and len(alone.changed) >= 50
    assert again(tmp_path / "run", executor=Processes(2)).changed == alone.changed
    assert again(tmp_path / "run").changed == []
