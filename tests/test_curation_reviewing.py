"""The review application without a browser: who may come, what a decision changes, what two readers see, files."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reviewing_parts import EVIL, STUDIES, judged, key_of, outcomes, reading, reviewed_run, served, served_apart
from tenstep.cli.app import main
from tenstep.curation.recheck import recheck
from tenstep.curation.reviewing.compare import BlindedComparison, sign_test
from tenstep.data.journal import Journal
from tenstep.data.judged import judged_event
from tenstep.data.readings import Readings, final, finals
from tenstep.data.run import RunFolder
from tenstep.data.selection import examples_of
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import InputError
from tenstep.schemas.reading import Preference
from tenstep.schemas.run import Event, State
from test_data_images import dicom


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return reviewed_run(tmp_path)


def test_a_reading_is_written_once_however_often_it_is_sent(run: Path) -> None:
    with Readings(run, writable=True) as stored:
        assert stored.append(reading())
        assert not stored.append(reading(decision="reject"))
        assert stored.append(reading(decision=None, revision=2))
        assert [one.decision for one in stored.all()] == ["accept", None]
        assert stored.current() == []


def test_readers_that_agree_decide_and_others_wait_for_adjudication() -> None:
    one, other = reading(), reading(reader="ben", decision="reject")
    assert final([one]) == ("accept", "single", ("anna",))
    assert final([one, reading(reader="ben")]).provenance == "unanimous"
    assert final([one, other]) == (None, "disputed", ("anna", "ben"))
    assert final([one, other, reading(reader="ben", decision="reject", kind="adjudication")])[:2] == (
        "reject",
        "adjudicated",
    )
    assert final([reading(decision="unsure")])[:2] == (None, "unsure")


def test_strangers_get_nothing(run: Path) -> None:
    with served(run, "anna") as server:
        link = server.links["anna"].split(f":{server.port}")[1]
        assert server.ask("/read")[0] == 401
        assert server.ask("/enter?token=wrong")[0] == 401
        assert server.ask(link, headers={"Host": "evil.test"})[0] == 403
        assert server.ask(link, headers={"Host": f"127.0.0.1:{server.port + 1}"})[0] == 403
        cookie = server.enter("anna")
        assert server.ask(link)[0] == 401, "a link works once"
        status, headers, _ = server.ask("/read", cookie=cookie)
        assert status == 200
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        path = f"/item/{key_of(0)}"
        form = {"base": 0, "seconds": 1, "decision": "accept", "queue": "work"}
        for origin in ("", "null", "http://evil.test", f"http://127.0.0.1:{server.port + 1}"):
            assert server.ask(path, cookie=cookie, form=form, headers={"Origin": origin})[0] == 403
        assert server.ask(path, cookie=cookie, form=form, headers={"Sec-Fetch-Site": "cross-site"})[0] == 403
        assert server.ask(path, cookie="other=1", form=form)[0] == 401
        assert server.ask(path, cookie=cookie, form=form)[0] == 200, "the same form from our page is taken"
    with Readings(run, writable=False) as stored:
        assert len(stored.current()) == 1


def test_the_cookie_is_named_with_the_port_and_stays_on_this_site(run: Path) -> None:
    with served(run, "anna") as server:
        _, headers, _ = server.ask(server.links["anna"].split(f":{server.port}")[1])
        given = headers["set-cookie"].lower()
        assert given.startswith(f"tenstep_review_{server.port}=")
        assert "httponly" in given and "samesite=strict" in given


@pytest.mark.parametrize(
    "form",
    [{"decision": "maybe"}, {"seconds": "soon"}, {"base": ""}, {"text-2": "", "mark-2": "good"}, {"reference": "x"}],
)
def test_a_form_that_is_not_whole_changes_nothing(run: Path, form: dict[str, str]) -> None:
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        status, text = server.decide(key_of(0), cookie, **form)
        assert status == 422 and "problem" in text
    assert finals(run) == {}


def test_a_decision_before_anybody_can_have_read_is_refused(run: Path) -> None:
    with served(run, "anna", more=("--min-seconds", "30")) as server:
        status, text = server.decide(key_of(0), server.enter("anna"))
        assert status == 422 and "look at it first" in text
    assert finals(run) == {}


def test_decisions_resolve_doubts_and_override_rules_and_the_tables_follow(run: Path) -> None:
    with served_apart(run, "anna") as server:
        cookie = server.enter("anna")
        assert server.decide(key_of(0), cookie, decision="accept")[0] == 200
        assert server.decide(key_of(1), cookie, decision="accept")[0] == 200
        assert (
            server.decide(key_of(2), cookie, decision="reject", code=["wrong_side"], comment="left, not right")[0]
            == 200
        )
        assert server.decide(key_of(3), cookie, decision="unsure")[0] == 200
    found = outcomes(run)
    assert [found[key_of(n)] for n in range(5)] == ["accept", "accept", "reject", "accept", "doubt"]
    ids = {line["study"]["id"] for line in lines(run / "accepted.jsonl")}
    assert {"t/0", "t/1"} <= ids and "t/2" not in ids
    assert json.loads((run / "manifest.json").read_text())["counts"]["doubted"] == STUDIES // 4 - 1
    recheck(run)
    assert outcomes(run)[key_of(1)] == "accept", "a recheck keeps what a reader decided"


@pytest.mark.parametrize(
    ("overrides", "expected"), [("doubts", ["accept", "reject", "accept"]), ("reject", ["accept", "reject", "reject"])]
)
def test_the_recipe_says_what_a_reader_may_override(tmp_path: Path, overrides: str, expected: list[str]) -> None:
    run = reviewed_run(tmp_path, overrides=overrides)
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        for number, decision in ((0, "accept"), (1, "accept"), (2, "reject")):
            assert server.decide(key_of(number), cookie, decision=decision)[0] == 200
    assert [outcomes(run)[key_of(n)] for n in range(3)] == expected
    assert len(finals(run)) == 3, "what is not allowed to count is on record all the same"


def test_undo_gives_back_what_was(run: Path) -> None:
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        server.decide(key_of(1), cookie, decision="accept")
        status, _, page = server.ask("/undo", cookie=cookie, form={"queue": "work"})
        assert status == 200 and f'data-key="{key_of(1)}"' in page
    assert outcomes(run)[key_of(1)] == "reject"
    with Readings(run, writable=False) as stored:
        assert [one.decision for one in stored.all()] == ["accept", None]


def test_a_rewritten_step_is_judged_at_once_and_becomes_a_readers_candidate(run: Path) -> None:
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        wrong = {"text-2": "There is a large left pneumothorax seen by the reader in 2019.", "step": 2}
        status, _, page = server.ask(f"/item/{key_of(2)}/check", cookie=cookie, form={**wrong, "base": 0, "seconds": 1})
        assert status == 200 and "findings" in page
        assert (
            server.decide(key_of(2), cookie, **{"text-2": "The heart is normal in size.", "mark-3": "unneeded"})[0]
            == 200
        )
    with RunFolder.read(run) as opened:
        written = [candidate for candidate, _ in opened.judged() if candidate.author == "reader"]
    assert len(written) == 1
    assert written[0].parent == key_of(2) and written[0].teacher == "anna" and written[0].trace
    assert written[0].trace.texts[1] == "The heart is normal in size."
    assert outcomes(run)[key_of(2)] == "reject" and outcomes(run)[written[0].key] == "accept"
    with Readings(run, writable=False) as stored:
        first = stored.current(key_of(2))[0]
    assert first.edited == written[0].key
    assert [(s.step, s.mark, s.text) for s in first.steps] == [
        (2, None, "The heart is normal in size."),
        (3, "unneeded", None),
    ]
    examples = {line["study"]["id"]: line["provenance"] for line in lines(run / "accepted.jsonl")}
    assert examples["t/2"]["author"] == "reader"
    assert [one.example.provenance.key for one in examples_of(run, reviewed_only=True)] == [written[0].key]
    with served(run, "anna") as server:  # withdrawn, it is no longer something that a reader has accepted
        server.decide(written[0].key, server.enter("anna"), decision="unsure")
    assert list(examples_of(run, reviewed_only=True)) == []


def test_a_second_reader_sees_neither_findings_nor_the_first_decision(run: Path) -> None:
    key = key_of(0)
    with served(run, "anna", "ben", more=("--min-seconds", "0", "--overlap", "1")) as server:
        anna, ben = server.enter("anna"), server.enter("ben")
        assert "denies_reference</b>" in server.ask(f"/item/{key}", cookie=anna)[2].replace(": denies", "denies")
        server.decide(key, anna, decision="reject", comment="SECRET OPINION")
        blinded = server.ask(f"/item/{key}", cookie=ben)[2]
        assert "SECRET OPINION" not in blinded and "<mark" not in blinded and "blinded" in blinded
        assert "findings" not in re.sub(r"<(?:head|dialog).*?</(?:head|dialog)>", "", blinded, flags=re.S)
        server.decide(key, ben, decision="accept")
        assert "<mark" in server.ask(f"/item/{key}", cookie=ben)[2], "after the own decision it is shown"
        settle = server.ask("/read?queue=disputed", cookie=ben)[2]
        assert "SECRET OPINION" in settle and f'data-key="{key}"' in settle
        assert outcomes(run)[key] == "doubt"
        server.decide(key, ben, decision="reject", queue="disputed")
        assert "Nothing is left" in server.ask("/read?queue=disputed", cookie=ben)[2]
        assert "anna, ben" in server.ask("/agreement", cookie=ben)[2]
    assert finals(run)[key] == ("reject", "adjudicated", ("anna", "ben"))
    assert outcomes(run)[key] == "reject"


def test_a_killed_server_loses_no_decision(run: Path) -> None:
    for number in (0, 1, 2):
        with pytest.raises(AssertionError), served_apart(run, "anna") as server:
            server.decide(key_of(number), server.enter("anna"), decision="reject")
            assert server.process
            server.process.kill()
    assert {key: found.decision for key, found in finals(run).items()} == {key_of(n): "reject" for n in (0, 1, 2)}


def test_a_run_that_is_being_written_can_be_read_and_decided_on(run: Path) -> None:
    with RunFolder.read(run) as opened:
        recipe, store = opened.manifest.recipe, opened.studies
    with (
        RunFolder.open(run, kind="curate", recipe=CurateRecipe.model_validate(recipe), studies=store) as writing,
        served(run, "anna", "ben", more=("--min-seconds", "0", "--overlap", "1")) as server,
    ):
        cookies = [server.enter("anna"), server.enter("ben")]
        for number, study in enumerate(store):
            candidate, verdict = judged(study, number)
            again = candidate.model_copy(update={"key": key_of(100 + number), "attempt": 2})
            writing.record(again, verdict, raw=b"{}")
            for cookie in cookies:
                assert server.decide(key_of(100 + number), cookie, decision="accept")[0] == 200
        writing.finish()
    assert len(finals(run)) == STUDIES
    assert len(outcomes(run)) == 2 * STUDIES


def test_a_draft_comes_back_and_is_its_owners_file(run: Path) -> None:
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        form = {"comment": "half a thought", "text-2": "A step in the making.", "mark-1": "wrong"}
        assert server.ask(f"/item/{key_of(0)}/draft", cookie=cookie, form=form)[0] == 204
        (draft,) = (run / "drafts").iterdir()
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        page = server.ask(f"/item/{key_of(0)}", cookie=cookie)[2]
        assert 'value="half a thought"' in page and "A step in the making." in page
        server.decide(key_of(0), cookie)
        assert not list((run / "drafts").iterdir())


def test_hostile_texts_are_inert_in_every_view(tmp_path: Path) -> None:
    run = reviewed_run(tmp_path, evil=True)
    with served(run, "anna", "ben", more=("--min-seconds", "0", "--overlap", "1")) as server:
        anna, ben = server.enter("anna"), server.enter("ben")
        server.decide(key_of(0), anna, decision="reject", comment=EVIL, **{"text-2": f"Rewritten {EVIL}", "code": EVIL})
        server.decide(key_of(0), ben)
        pages = [
            "/read",
            f"/item/{key_of(0)}",
            f"/item/{key_of(1)}",
            "/list?queue=all",
            "/read?queue=disputed",
            "/agreement",
        ]
        pages.append("/list?" + "&".join(f"{name}=%22%3E%3Cscript%3E" for name in ("queue", "study", "code", "sort")))
        for path in pages:
            for cookie in (anna, ben):
                page = server.ask(path, cookie=cookie)[2]
                assert not re.search(r"<img|<script(?! src=\"/static/)|\son\w+=(?!\\)['\"]?alert\(3\)[^&]*>", page), (
                    path
                )


def test_fifty_at_a_time_are_listed_and_filters_stand_in_the_address(run: Path) -> None:
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        page = server.ask("/list?queue=all&outcome=doubt", cookie=cookie)[2]
        assert page.count("<tr><td><a") == STUDIES // 4
        assert server.ask("/list?queue=code:denies_reference", cookie=cookie)[2].count("<tr><td><a") == STUDIES // 2
        assert server.ask("/list?queue=nothing", cookie=cookie)[0] == 422


def test_a_film_comes_as_raw_values(run: Path) -> None:
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        status, headers, body = server.ask(f"/film/{key_of(0)}/1", cookie=cookie)
        assert status == 200 and headers["x-film-width"] == "96" and headers["x-film-bits"] == "8"
        assert len(body) <= 96 * 96
        assert server.ask(f"/film/{key_of(0)}/2", cookie=cookie)[0] == 404
        assert server.ask(f"/film/{'f' * 64}/0", cookie=cookie)[0] == 422


def test_figures_of_the_gate_follow_the_readers(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Readings(run, writable=True) as stored:
        for number in range(8):
            stored.append(
                reading(number, decision="reject" if number in (1, 4, 5) else "accept", codes=("denies_reference",))
            )
    assert main(["reviews", str(run), "--json"]) == 0
    (code,) = json.loads(capsys.readouterr().out)["codes"]
    assert code == {"code": "denies_reference", "found": 4, "rejected": 3, "named": 3, "both": 3}
    assert main(["rules", "denies_reference", "--measured", str(run), "--json"]) == 0
    (rule,) = json.loads(capsys.readouterr().out)["rules"]
    assert rule["readers"]["precision"].startswith("0.75 (") and rule["readers"]["precision"].endswith("3 of 4")
    assert main(["rules", "--measured", str(run)]) == 0
    assert "precision" in capsys.readouterr().out


def test_rules_are_not_measured_by_a_run_that_nobody_has_read(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--measured", str(run)]) == 2
    assert "no decisions of readers yet" in capsys.readouterr().err


def test_a_port_that_is_taken_and_a_run_with_nothing_judged_are_one_line(run: Path, tmp_path: Path) -> None:
    def said(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tenstep", "review", *map(str, words), "--serve", "--no-browser"],
            capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == 2
        return done.stderr

    with served(run, "anna") as server:
        assert "cannot be used" in said(run, "--port", server.port)
    assert "is no name" in said(run, "--reader", "\x1b[2J")
    assert "not a run folder" in said(tmp_path / "nowhere") or "manifest" in said(tmp_path / "nowhere")


def test_two_runs_are_compared_without_saying_whose_they_are(tmp_path: Path) -> None:
    one, other = reviewed_run(tmp_path / "one"), reviewed_run(tmp_path / "other")
    sides = set()
    with served(one, "anna", other=other) as server:
        cookie = server.enter("anna")
        for _ in range(STUDIES):
            page = server.ask("/compare", cookie=cookie)[2]
            key = re.search(r'data-key="(\w+)"', page)
            assert key and "checklist" not in page and "<mark" not in page
            form = {"decision": "left", "seconds": 2}
            assert server.ask(f"/compare/{key[1]}", cookie=cookie, form={"decision": "both", "seconds": 2})[0] == 422
            assert server.ask(f"/compare/{key[1]}", cookie=cookie, form=form)[0] == 200
        assert "exact sign test" in server.ask("/compare", cookie=cookie)[2], "nothing is left, so the result is shown"
    for line in lines(one / "preferences.jsonl"):
        sides.add(line["left"])
        assert line["better"] == line["left"]
    assert sides == {"first", "second"}
    assert stat.S_IMODE((one / "preferences.jsonl").stat().st_mode) == 0o600
    assert finals(one) == {}


def test_a_preference_that_a_kill_has_cut_costs_none_of_the_others(tmp_path: Path) -> None:
    with RunFolder.read(reviewed_run(tmp_path / "one")) as one, RunFolder.read(reviewed_run(tmp_path / "two")) as two:
        comparison = BlindedComparison((one, two), seed=0)
        try:
            for _ in range(2):
                pair = comparison.next_pair("anna")
                assert pair is not None
                said = {**pair._asdict(), "reader": "anna", "better": "tie", "seconds": 1, "at": 0}
                comparison.add(Preference.model_validate(said))
                with (one.path / "preferences.jsonl").open("a") as file:
                    file.write('{"study_id": "cut off')
            assert len(comparison.preferences()) == 2
            (one.path / "preferences.jsonl").write_text('{"study_id": "cut off{}}\n')
            with pytest.raises(InputError, match="remove this line") as caught:
                comparison.preferences()
            assert caught.value.row == 1
        finally:
            comparison.close()


def test_the_sign_test_is_exact() -> None:
    def preferred(first: int, second: int, ties: int = 0) -> list[Preference]:
        said = ["first"] * first + ["second"] * second + ["tie"] * ties
        return [
            Preference.model_validate(
                {
                    "study_id": "s",
                    "reader": "anna",
                    "first": key_of(n),
                    "second": key_of(n),
                    "left": "first",
                    "better": better,
                    "seconds": 1,
                    "at": 1,
                }
            )
            for n, better in enumerate(said)
        ]

    assert sign_test(preferred(9, 1)).p == pytest.approx(22 / 1024)  # 2 (C(10,0) + C(10,1)) / 2^10
    assert sign_test(preferred(5, 5, 3)) == (5, 5, 3, 1.0)
    assert sign_test([]).p == 1.0


def test_a_dicom_film_is_shown_from_its_source_with_all_its_grey_values(tmp_path: Path) -> None:
    """12 bits and the file's own window, not the 8 bits that the student sees; and those where the source has gone."""
    film = np.full((64, 48), 300, np.uint16)
    film[:, 24:] = np.linspace(0, 4000, 24, dtype=np.uint16)
    source = tmp_path / "films" / "one"
    source.mkdir(parents=True)
    (source / "image.dcm").write_bytes(dicom(film, WindowCenter=2000, WindowWidth=3000))
    (source / "report.txt").write_text("Findings: The lungs are clear.\nImpression: Normal.")
    store = ["ingest", "folders", str(tmp_path / "films"), "--data-class", "public", "--out", str(tmp_path / "studies")]
    assert main(store) == 0
    studies = StudyStore.open(tmp_path / "studies")
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "r", "teachers": [{"kind": "checklist"}]})
    run = tmp_path / "run"
    with RunFolder.open(run, kind="curate", recipe=recipe, studies=studies) as opened:
        for study in studies:
            opened.record(*judged(study, 0), raw=b"{}")
        opened.finish()
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        headers = server.ask(f"/film/{key_of(0)}/0", cookie=cookie)[1]
        assert (headers["x-film-bits"], headers["x-film-low"], headers["x-film-high"]) == ("16", "500", "3500")
        (source / "image.dcm").unlink()
        assert server.ask(f"/film/{key_of(0)}/0", cookie=cookie)[1]["x-film-bits"] == "8"


def test_a_trace_that_has_not_ten_steps_cannot_be_accepted_by_anybody(run: Path) -> None:
    with RunFolder.read(run) as opened:
        study = next(iter(opened.studies))
    candidate, verdict = judged(study, 500)
    assert candidate.trace
    nine = candidate.trace.model_copy(update={"steps": candidate.trace.steps[:9]})
    with Journal(run / "journal.db", writable=True) as journal:
        journal.append(judged_event(candidate.model_copy(update={"trace": nine}), verdict)).result()
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        status, text = server.decide(key_of(500), cookie, decision="accept")
        assert status == 422 and "reject it" in text
        assert server.decide(key_of(500), cookie, decision="reject")[0] == 200


def test_what_a_verifier_was_asked_is_no_trace_to_read(run: Path) -> None:
    with Journal(run / "journal.db", writable=True) as journal:
        journal.append(
            Event(key=key_of(900), state=State.JUDGED, study_id="t/0", at=1.0, body={"statements": []})
        ).result()
    with served(run, "anna") as server:
        cookie = server.enter("anna")
        assert server.ask("/list?queue=all", cookie=cookie)[2].count("<tr><td><a") == STUDIES
        assert server.ask(f"/item/{key_of(900)}", cookie=cookie)[0] == 422
