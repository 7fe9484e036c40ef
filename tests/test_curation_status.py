"""tenstep status: states, spend, acceptance by attempt and by teacher, and what nobody knows."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from curation_parts import GOOD, NINE, make_store, scripted
from servers.studies import make_study
from tenstep.__main__ import main
from tenstep.curation.engine import Engine
from tenstep.curation.requests.history import History
from tenstep.curation.teacher import load
from tenstep.data.journal import Journal
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.run import Event, State
from tenstep.validators.rule import REFERENCE


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Two teachers, eight studies: of `one`, a is repaired and c rejected; of `two`, h refuses."""
    store = make_store(tmp_path / "studies", (make_study(name, REFERENCE) for name in "abcdefgh"))
    specs = [
        scripted(tmp_path, {"a": [NINE, GOOD], "c": [NINE] * 3, "e": [GOOD], "g": [GOOD]}, "one"),
        scripted(tmp_path, {"b": [GOOD], "d": [GOOD], "f": [GOOD], "h": []}, "two"),
    ]
    recipe = CurateRecipe.model_validate(
        {
            "kind": "curate",
            "name": "t",
            "teachers": specs,
            "goal": {"accepted": 20, "pilot": 0},
            "budget": {"calls": 99},
        }
    )
    with RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=store) as run:
        tally = asyncio.run(Engine(run, recipe, [load(spec) for spec in recipe.teachers]).work())
        run.finish(spend_usd=tally.spend_usd, studies=len(store))
    return tmp_path / "run"


def status(folder: Path, tmp_path: Path) -> dict[str, Any]:
    out = tmp_path / "status.json"
    assert main(["status", str(folder), "--json", str(out)]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_it_counts_states_attempts_and_teachers(run_folder: Path, tmp_path: Path) -> None:
    found = status(run_folder, tmp_path)
    assert found["states"] == {"judged": 10, "refused": 1}
    assert (found["studies"], found["touched"], found["accepted"], found["rejected"]) == (8, 7, 6, 1)
    assert (found["calls"], found["spend_usd"], found["budget"]) == (11, 0.0, {"calls": 99})
    attempts = {row["name"]: (row["judged"], row["accepted"]) for row in found["by_attempt"]}
    assert attempts == {"attempt 1": (7, 5), "attempt 2": (2, 1), "attempt 3": (1, 0)}
    teachers = {row["name"]: (row["judged"], row["accepted"], row["calls"]) for row in found["by_teacher"]}
    assert teachers == {"one": (4, 3, 7), "two": (3, 3, 4)}
    assert all(row["low"] <= row["share"] <= row["high"] for row in found["by_attempt"] + found["by_teacher"])
    assert found["unknown"] == {"now": 0, "ever": 0, "tokens_at_most": 0, "usd_at_most": 0.0}
    assert found["forecast"]["goal"] == 20
    assert found["policy"]["training"] is True
    assert found["agreement"] == []  # they share no study


def test_a_request_nobody_heard_of_again_is_bounded_and_one_under_way_counts_too(
    run_folder: Path, tmp_path: Path
) -> None:
    recipe = CurateRecipe.model_validate(json.loads((run_folder / "manifest.json").read_text())["recipe"])
    store = StudyStore.open(tmp_path / "studies")
    with RunFolder.open(run_folder, kind="curate", recipe=recipe, studies=store) as run:
        for key, usd in (("a" * 64, 0.5), ("b" * 64, 0.25)):
            body = {"tokens": 1_000, "usd": usd}
            run.journal.append(Event(key=key, state=State.IN_FLIGHT, study_id="t/a", at=0.0, body=body)).result()
        run.journal.append(Event(key="a" * 64, state=State.UNKNOWN, study_id="t/a", at=0.0)).result()
        found = status(run_folder, tmp_path)  # while another process writes
    assert found["unknown"] == {"now": 2, "ever": 2, "tokens_at_most": 2_000, "usd_at_most": 0.75}
    assert found["finished"] is None
    assert (found["calls"], found["states"]["unknown"], found["states"]["in_flight"]) == (13, 1, 1)


def test_what_people_read_says_the_bound_and_what_to_do(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = CurateRecipe.model_validate(json.loads((run_folder / "manifest.json").read_text())["recipe"])
    with RunFolder.open(run_folder, kind="curate", recipe=recipe, studies=StudyStore.open(tmp_path / "studies")) as run:
        flight = Event(key="a" * 64, state=State.IN_FLIGHT, study_id="t/a", at=0.0, body={"tokens": 9, "usd": None})
        unknown = Event(key="a" * 64, state=State.UNKNOWN, study_id="t/a", at=0.0)
        run.journal.append(flight, unknown).result()
    capsys.readouterr()
    assert main(["status", str(run_folder)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "1 requests were sent and never answered; they may have cost an unknown sum at most" in text
    assert "--resend-unknown yes" in text
    assert "20 accepted needs about" in text
    assert "with the 1 studies that are left it comes to about 6" in text


def test_a_run_whose_answers_may_not_train_says_so(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = run_folder / "manifest.json"
    found = json.loads(manifest.read_text())
    found["policy"] |= {"training": False, "reason": "nobody attests"}
    manifest.write_text(json.dumps(found))
    assert main(["status", str(run_folder)]) == 0
    assert "nothing of this run may be exported for training: nobody attests" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize("what", ["absent", "empty", "file"])
def test_what_is_no_run_is_one_line(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / what
    if what == "empty":
        path.mkdir()
    if what == "file":
        path.write_text("x")
    assert main(["status", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def event(key: str, state: State, **body: Any) -> Event:
    return Event(key=key * 64, state=state, study_id="s", at=0.0, body=body)


def judged_body(tokens: int, usd: float | None) -> dict[str, Any]:
    usage = {"input_tokens": tokens, "output_tokens": 0}
    return {"candidate": {"usage": usage, "cost_usd": usd}, "verdict": {}}


def test_history_settles_what_was_answered_and_bounds_the_rest(tmp_path: Path) -> None:
    flight = {"tokens": 100, "usd": 1.0}
    story = [
        ("a", State.IN_FLIGHT, flight),
        ("a", State.RECEIVED, {}),
        ("a", State.JUDGED, judged_body(10, 0.1)),
        ("a", State.JUDGED, judged_body(10, 0.1)),  # judged again by a recheck: not paid again
        ("b", State.IN_FLIGHT, flight),
        ("b", State.FAILED, {}),  # turned away: nothing
        ("c", State.IN_FLIGHT, flight),
        ("c", State.UNKNOWN, {}),  # may have been paid, whatever became of it later
        ("c", State.IN_FLIGHT, flight),
        ("c", State.RECEIVED, {}),
        ("c", State.JUDGED, judged_body(20, 0.2)),
        ("d", State.IN_FLIGHT, flight),
        ("d", State.FAILED, {"sent": False}),  # never left
        ("e", State.IN_FLIGHT, flight),
        ("e", State.RECEIVED, {}),
        ("e", State.UNKNOWN, {}),  # unreadable
        ("f", State.IN_FLIGHT, flight),
        ("f", State.REFUSED, {"usage": {"input_tokens": 5, "output_tokens": 5}, "usd": 0.05}),
        ("0", State.FAILED, {"sent": False}),  # could not even be asked
    ]
    with Journal(tmp_path / "journal.db", writable=True) as journal:
        journal.append(*(event(key, state, **body) for key, state, body in story)).result()
        with journal.sums() as sums:
            history = History.of(sums)
    assert history.calls == 6
    assert (history.settled.tokens, history.settled.usd) == (40, pytest.approx(0.35))
    assert (history.uncertain.tokens, history.uncertain.usd, history.uncertain_calls) == (200, 2.0, 2)
