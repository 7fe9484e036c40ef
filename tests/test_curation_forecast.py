"""Forecast and pilot: an interval that holds, what a goal will need, and nothing spent beyond the pilot unasked."""

import asyncio
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from curation_parts import GOOD, NINE, make_store, scripted
from hypothesis import given
from hypothesis import strategies as st
from servers.studies import make_study
from servers.teacher import TeacherServer
from tenstep.__main__ import main
from tenstep.curation.engine import Engine
from tenstep.curation.requests.forecast import Forecast, forecast
from tenstep.curation.requests.tally import Tally
from tenstep.curation.teacher import load
from tenstep.data.run import RunFolder
from tenstep.data.statistics import wilson
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.validators.rule import REFERENCE


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
    known = ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718))
    for hits, of, low, high in known:
        assert wilson(hits, of)[1:] == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 0) == (0.0, 0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_an_interval_holds_its_share_and_lies_in_zero_to_one(counts: tuple[int, int]) -> None:
    share, low, high = wilson(*counts)
    assert 0 <= low <= share <= high <= 1
    assert low < high


def test_the_interval_holds_the_truth_about_nineteen_times_in_twenty() -> None:
    dice = random.Random(7)
    for truth in (0.3, 0.7, 0.9):
        held = 0
        for _ in range(2_000):
            _, low, high = wilson(sum(dice.random() < truth for _ in range(40)), 40)
            held += low <= truth <= high
        assert 0.91 <= held / 2_000 <= 0.98


def test_a_goal_needs_what_the_pilot_took_for_each_accepted() -> None:
    found = forecast(goal=300, accepted=15, studies=20, calls=30, usd=0.6, studies_left=1_000)
    assert found is not None
    assert found.calls == math.ceil(285 / 0.75 * 1.5)
    assert found.usd == pytest.approx(285 / 0.75 * 0.03)
    assert found.usd_low is not None and found.usd_high is not None
    assert found.usd_low < found.usd < found.usd_high
    assert found.calls_high is not None and found.calls_low < found.calls < found.calls_high
    assert "300 accepted needs about 570 more calls, $9.63 to $16.09" in found.text
    assert "75% accepted (95 % interval 53% to 89%) after 20 studies" in found.text


def test_what_cannot_be_said_is_not_said() -> None:
    nothing = forecast(goal=50, accepted=0, studies=20, calls=60, usd=1.0, studies_left=100)
    assert nothing is not None
    assert (nothing.calls, nothing.calls_high, nothing.usd, nothing.usd_high) == (None, None, None, None)
    assert nothing.usd_low is not None and "or more" in nothing.text and "more calls than can be said" in nothing.text
    unpriced = forecast(goal=50, accepted=10, studies=20, calls=20, usd=None, studies_left=100)
    assert unpriced is not None and "at an unknown price" in unpriced.text
    assert not unpriced.costs_nothing
    assert forecast(goal=10, accepted=10, studies=20, calls=20, usd=0.0, studies_left=5) is None
    assert forecast(goal=10, accepted=0, studies=0, calls=0, usd=0.0, studies_left=5) is None


def test_too_little_data_is_said_and_free_is_free() -> None:
    found = forecast(goal=100, accepted=10, studies=20, calls=20, usd=0.0, studies_left=30)
    assert found is not None and found.costs_nothing
    assert found.reachable == 25
    assert "with the 30 studies that are left it comes to about 25" in found.text


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    names = (f"{number:02}" for number in range(30))
    return make_store(tmp_path / "studies", (make_study(name, f"{REFERENCE} Film {name}.") for name in names))


def recipe_of(tmp_path: Path, **more: Any) -> dict[str, Any]:
    """Every second study is accepted."""
    teachers = [scripted(tmp_path, {f"{n:02}": [GOOD if n % 2 else NINE] for n in range(30)})]
    return {"kind": "curate", "name": "t", "teachers": teachers, "repair": {"attempts": 0}, **more}


def curate(path: Path, recipe: dict[str, Any], store: StudyStore, answer: bool) -> tuple[Tally, list[Forecast]]:
    asked: list[Forecast] = []

    def consent(found: Forecast) -> bool:
        asked.append(found)
        return answer

    made = CurateRecipe.model_validate(recipe)
    with RunFolder.open(path, kind="curate", recipe=made, studies=store) as run:
        engine = Engine(run, made, [load(spec) for spec in made.teachers], consent=consent)
        return asyncio.run(engine.work()), asked


def test_a_pilot_goes_first_and_nothing_more_is_asked_without_consent(tmp_path: Path, store: StudyStore) -> None:
    recipe = recipe_of(tmp_path, goal={"accepted": 12, "pilot": 10}, concurrency=4)
    tally, asked = curate(tmp_path / "run", recipe, store, False)
    assert (tally.asked, tally.accepted, tally.ended) == (10, 5, "pilot")
    assert tally.forecast == asked[0]
    assert asked[0].calls == 14
    again, asked_again = curate(tmp_path / "run", recipe, store, False)
    assert (again.asked, again.ended, len(asked_again)) == (0, "pilot", 1)
    rest, _ = curate(tmp_path / "run", recipe, store, True)
    assert (rest.accepted, rest.recalled, rest.ended) == (12, 10, "goal")
    larger = {**recipe, "goal": {"accepted": 13, "pilot": 10}}
    assert curate(tmp_path / "run", larger, store, False)[1] == []  # was agreed to before


def test_a_goal_is_met_and_not_overshot(tmp_path: Path, store: StudyStore) -> None:
    recipe = recipe_of(tmp_path, goal={"accepted": 7, "pilot": 0}, concurrency=64)
    tally, asked = curate(tmp_path / "run", recipe, store, True)
    assert (tally.accepted, tally.ended, asked) == (7, "goal", [])
    assert tally.asked == 14  # no study was open that the goal could not need


def test_a_goal_beyond_the_data_ends_with_the_data(tmp_path: Path, store: StudyStore) -> None:
    tally, _ = curate(tmp_path / "run", recipe_of(tmp_path, goal={"accepted": 29, "pilot": 4}), store, True)
    assert (tally.accepted, tally.studies, tally.ended) == (15, 30, "data")


def command(tmp_path: Path, recipe: dict[str, Any], *words: str) -> dict[str, Any]:
    file, out = tmp_path / "recipe.yaml", tmp_path / "out.json"
    file.write_text(yaml.safe_dump(recipe))
    studies, run = str(tmp_path / "studies"), str(tmp_path / "run")
    assert main(["curate", str(file), "--studies", studies, "--out", run, "--json", str(out), *words]) == 0
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_without_a_terminal_the_command_stops_after_the_pilot_unless_told_or_bounded_or_free(
    tmp_path: Path, store: StudyStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with TeacherServer(latency=0) as server:
        spec = {"kind": "openai", "options": {"model": "gpt-5-mini", "base_url": f"{server.url}/v1"}}
        recipe = {"kind": "curate", "name": "t", "teachers": [spec], "goal": {"accepted": 20, "pilot": 5}}
        found = command(tmp_path, recipe)
        assert (found["ended"], found["asked"]) == ("pilot", 5)
        assert found["forecast"]["usd_low"] > 0
        assert "20 accepted needs about 15 more calls" in capsys.readouterr().err
        found = command(tmp_path, {**recipe, "budget": {"calls": 8}})
        assert (found["ended"], found["asked"]) == ("budget", 3)
        found = command(tmp_path, recipe, "--yes")
        assert (found["ended"], found["accepted"], found["asked"]) == ("goal", 20, 12)
        assert server.stats()["paid_twice"] == 0


def test_what_costs_nothing_goes_on_by_itself(
    tmp_path: Path, store: StudyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    found = command(tmp_path, recipe_of(tmp_path, goal={"accepted": 12, "pilot": 10}))
    assert (found["ended"], found["accepted"]) == ("goal", 12)
    assert capsys.readouterr().err == ""
