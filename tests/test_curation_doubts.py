"""Doubts: a third outcome from the rule to the page; repaired, held, accepted or rejected as the recipe says."""

import json
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, asked, make_store, scripted
from pydantic import ValidationError
from tenstep.__main__ import main
from tenstep.curation.doubts import decided
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.study import Study
from tenstep.schemas.verdict import Finding, Resolution, Severity, Verdict
from tenstep.validators.rule import REFERENCE, Case, ten

# the code that stands for any doubt: what is a doubt by itself is the rules' affair
LEAK = ten({5: "Lungs: as the report states, both lungs are clear."}, report=None)
NINE = "\n".join(GOOD.split("\n")[:9])
DOUBT_LEAKS = {"reference_leak": "doubt"}


def finding(severity: Severity, code: str = "some_code") -> Finding:
    return Finding(rule="some_rule", code=code, severity=severity, step=3, message="The side may be wrong.")


def test_the_worst_severity_decides_the_outcome() -> None:
    error, doubt, warning = finding("error", "e"), finding("doubt", "d"), finding("warning", "w")
    assert [Verdict(findings=f).outcome for f in ((), (warning,), (warning, doubt), (doubt, error))] == [
        "accept",
        "accept",
        "doubt",
        "reject",
    ]
    assert not Verdict(findings=(doubt,)).accepted
    assert Verdict(findings=(warning, doubt)).codes == ("d",)
    assert Verdict(findings=(doubt, error)).codes == ("e",)


@pytest.mark.parametrize("by", ["verifier", "recipe"])
def test_a_resolution_settles_doubts_and_no_error(by: Any) -> None:
    accept, reject = (Resolution(by=by, outcome=o) for o in ("accept", "reject"))  # type: ignore[arg-type]  # literals
    assert Verdict(findings=(finding("doubt"),), resolution=accept).outcome == "accept"
    assert Verdict(findings=(finding("doubt"),), resolution=reject).outcome == "reject"
    assert Verdict(findings=(finding("doubt"), finding("error")), resolution=accept).outcome == "reject"


def test_a_readers_word_counts_before_all_else() -> None:
    accept, reject = Resolution(by="reader", outcome="accept"), Resolution(by="reader", outcome="reject")
    assert Verdict(findings=(finding("error"),), resolution=accept).outcome == "accept"
    assert Verdict(resolution=reject).outcome == "reject"


def test_an_old_verdict_is_read_and_has_no_doubts() -> None:
    old = {"schema_version": 1, "findings": [{"rule": "r", "code": "c", "severity": "warning", "message": "m"}]}
    assert Verdict.model_validate(old).outcome == "accept"


def test_a_recipe_decides_doubts_and_nothing_that_was_resolved_by_others() -> None:
    open_ = Verdict(findings=(finding("doubt"),))
    assert [decided(open_, word).outcome for word in ("hold", "verify", "accept", "reject")] == [
        "doubt",
        "doubt",
        "accept",
        "reject",
    ]
    assert decided(decided(open_, "accept"), "hold").outcome == "doubt"
    lifted = open_.model_copy(update={"resolution": Resolution(by="verifier", outcome="accept")})
    assert decided(lifted, "reject") == lifted
    assert decided(Verdict(), "reject").outcome == "accept"


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    studies = (Case("").study.model_copy(update={"id": f"t/{key}", "patient_id": key}) for key in "abc")
    return make_store(tmp_path / "studies", (Study.model_validate(s.model_dump()) for s in studies))


def curate(folder: Path, texts: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    recipe = {"kind": "curate", "name": "t", "teachers": [scripted(folder, texts)], "severities": DOUBT_LEAKS, **more}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies"), "--out", str(folder / "run")]
    assert main([*words, "--json", str(folder / "told.json")]) == 0
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_doubts_are_held_counted_and_written_to_a_file_of_their_own(tmp_path: Path, store: StudyStore) -> None:
    found = curate(tmp_path, {"a": [GOOD], "b": [LEAK], "c": [NINE]}, repair={"attempts": 0})
    assert (found["accepted"], found["doubted"], found["rejected"]) == (1, 1, 1)
    run = tmp_path / "run"
    assert [line["study"]["id"] for line in lines(run / "accepted.jsonl")] == ["t/a"]
    assert [line["study_id"] for line in lines(run / "doubted.jsonl")] == ["t/b"]
    assert [line["study_id"] for line in lines(run / "rejected.jsonl")] == ["t/c"]
    assert json.loads((run / "manifest.json").read_text())["counts"]["doubted"] == 1


def test_status_audit_and_review_show_doubts(
    tmp_path: Path, store: StudyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(tmp_path, {"a": [GOOD], "b": [LEAK], "c": [NINE]}, repair={"attempts": 0})
    capsys.readouterr()
    run = str(tmp_path / "run")
    assert main(["status", run, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["accepted"], status["doubted"], status["rejected"]) == (1, 1, 1)
    assert status["by_attempt"][0]["doubted"] == 1
    assert main(["status", run]) == 0
    assert "studies in doubt: 1 (doubted.jsonl; a verifier or a reader settles them)" in capsys.readouterr().out
    assert main(["audit", run, "--json"]) == 0
    audit = json.loads(capsys.readouterr().out)
    outcomes = {item["id"]: (item["outcome"], item["accepted"]) for item in audit["items"]}
    assert outcomes == {"t/a": ("accept", True), "t/b": ("doubt", False), "t/c": ("reject", False)}
    assert (audit["accepted"], audit["doubted"], audit["rejected"]) == (1, 1, 1)
    page = (tmp_path / "run" / "audit.html").read_text()
    assert 'data-status="doubted"' in page and "In doubt <b>1</b>" in page
    assert main(["review", run, "--out", str(tmp_path / "review.html")]) == 0
    page = (tmp_path / "review.html").read_text()
    assert "In doubt <b>1</b>" in page and "Doubt: reference_leak" in page and '<mark class="doubt">' in page


@pytest.mark.parametrize(("word", "counts"), [("accept", (1, 0, 0)), ("reject", (0, 0, 1)), ("hold", (0, 1, 0))])
def test_a_recipe_says_what_becomes_of_doubts(
    tmp_path: Path, store: StudyStore, word: str, counts: tuple[int, int, int]
) -> None:
    found = curate(tmp_path, {"a": [LEAK]}, doubts=word, limit=1, repair={"attempts": 0})
    assert (found["accepted"], found["doubted"], found["rejected"]) == counts
    if word == "accept":
        provenance = lines(tmp_path / "run" / "accepted.jsonl")[0]["provenance"]
        assert provenance["doubts"] == ["reference_leak"] and provenance["resolution"]["by"] == "recipe"
        assert provenance["warnings"] == []
        with RunFolder.read(tmp_path / "run") as run:
            (example,) = run.accepted()
        assert json.loads(example.model_dump_json())["provenance"] == provenance


def test_a_doubt_goes_back_to_its_author_as_a_question(tmp_path: Path, store: StudyStore) -> None:
    found = curate(tmp_path, {"a": [LEAK, GOOD]}, limit=1)
    assert (found["accepted"], found["repaired"], found["doubted"]) == (1, 1, 0)


@pytest.mark.parametrize(("feed", "n"), [(["errors"], 1), (["doubts"], 2), (["errors", "doubts"], 2)])
def test_the_recipe_says_whether_doubts_are_repaired(
    tmp_path: Path, store: StudyStore, feed: list[str], n: int
) -> None:
    curate(tmp_path, {"a": [LEAK, GOOD]}, limit=1, repair={"feed": feed})
    assert len(asked(tmp_path)) == n


def test_the_recipe_says_whether_errors_are_repaired(tmp_path: Path, store: StudyStore) -> None:
    curate(tmp_path, {"a": [NINE, GOOD]}, limit=1, repair={"feed": ["doubts"]})
    assert len(asked(tmp_path)) == 1
    with pytest.raises(ValidationError, match="at least 1 item"):
        CurateRecipe.model_validate(
            {"kind": "curate", "name": "t", "teachers": [{"kind": "scripted"}], "repair": {"feed": []}}
        )


def test_a_study_whose_repair_is_worse_than_its_doubt_stays_in_doubt(tmp_path: Path, store: StudyStore) -> None:
    found = curate(tmp_path, {"a": [LEAK, NINE, NINE]}, limit=1)
    assert (found["accepted"], found["doubted"], found["rejected"]) == (0, 1, 0)
    assert found["codes"] == {"reference_leak": 1}
    found = curate(tmp_path, {"a": [LEAK, NINE, NINE]}, limit=1)
    assert (found["asked"], found["doubted"]) == (0, 1)


def test_a_recheck_says_which_verdicts_fall_into_doubt(
    tmp_path: Path, store: StudyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    from tenstep.curation.amend import amend

    curate(tmp_path, {"a": [LEAK]}, limit=1, repair={"attempts": 0})
    amend(tmp_path / "run", lambda run, candidate, verdict: Verdict())
    capsys.readouterr()
    assert main(["recheck", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["now_accepted"], found["now_doubted"], found["now_rejected"]) == (0, 1, 0)
    assert (found["changed"][0]["was"], found["changed"][0]["now"]) == ("accept", "doubt")
    assert found["changed"][0]["rules"] == ["leak: reference_leak"]


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path, store: StudyStore) -> None:
    curate(tmp_path, {"a": [GOOD], "b": [GOOD]}, limit=1)
    file = tmp_path / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["recipe"]["doubts"], manifest["recipe"]["repair"]["feed"], manifest["counts"]["doubted"]
    file.write_text(json.dumps(manifest))
    assert main(["status", str(tmp_path / "run")]) == 0
    found = curate(tmp_path, {"a": [GOOD], "b": [GOOD]}, limit=2)
    assert (found["accepted"], found["asked"]) == (2, 1)


def test_questions_stand_apart_from_problems_in_the_next_prompt() -> None:
    from tenstep.curation.prompt import Prompts
    from tenstep.validators.reading import read_candidate

    case = Case(LEAK, reference=REFERENCE)
    candidate = read_candidate(LEAK, case.study.id, writes_report=False)
    user = Prompts("informed").fill(case.study, candidate, [finding("error"), finding("doubt")]).user
    previous = json.loads(user[user.rindex('{\n "earlier_answer"') :])
    assert [one["problem"] for one in previous["to_change"]] == ["The side may be wrong."]
    assert previous["to_answer"][0]["question"].startswith("The side may be wrong. Is the step right?")
    without = Prompts("informed").fill(case.study, candidate, [finding("error")]).user
    assert "to_answer" not in without
