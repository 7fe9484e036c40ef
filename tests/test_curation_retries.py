"""One retry owner: what is sent again and what is not, through the real SDKs and a server that fails on purpose."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from curation_parts import make_store
from servers.studies import make_study
from servers.teacher import TeacherServer
from tenstep.__main__ import main
from tenstep.curation.engine import Engine
from tenstep.curation.requests.history import History
from tenstep.curation.requests.tally import Tally
from tenstep.curation.teacher import load
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import TeacherError
from tenstep.schemas.run import Event, State
from tenstep.validators.rule import REFERENCE

KEY = "sk-canary-7f3a91"
CANARY = "Film of canary wing 4711"
STUDIES = 12


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TeacherServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with TeacherServer(latency=0) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    names = (f"{number:02}" for number in range(STUDIES))
    studies = (make_study(name, f"{REFERENCE} {CANARY}, number {name}.") for name in names)
    return make_store(tmp_path / "studies", studies)


def recipe_of(server: TeacherServer, **more: Any) -> dict[str, Any]:
    options = {"model": "gpt-5-mini", "base_url": f"{server.url}/v1", "seconds": 5}
    return {"kind": "curate", "name": "t", "teachers": [{"kind": "openai", "options": options}], **more}


def curate(path: Path, recipe: dict[str, Any], store: StudyStore) -> Tally:
    made = CurateRecipe.model_validate(recipe)
    with RunFolder.open(path, kind="curate", recipe=made, studies=store) as run:
        return asyncio.run(Engine(run, made, [load(spec) for spec in made.teachers]).work())


def events(path: Path) -> list[Event]:
    with RunFolder.read(path) as run:
        return list(run.journal.events(raw=False))


def states(path: Path, study: str) -> list[State]:
    return [event.state for event in events(path) if event.study_id == study]


@pytest.mark.parametrize(
    "fault", ["429_ms", "429_fraction", "429_nonsense", "429_negative", "529", "503", "500", "502_html"]
)
def test_what_the_server_turned_away_is_sent_again_and_each_sending_is_in_the_journal(
    tmp_path: Path, store: StudyStore, server: TeacherServer, fault: str
) -> None:
    server.fail(fault, where="number 03")
    server.fail(fault, where="number 05")
    tally = curate(tmp_path / "run", recipe_of(server), store)
    assert (tally.accepted, tally.failed, tally.unknown) == (STUDIES, 0, 0)
    assert server.requests == STUDIES + 2
    flight, failed = State.IN_FLIGHT, State.FAILED
    assert states(tmp_path / "run", "t/05") == [flight, failed, flight, State.RECEIVED, State.JUDGED]
    assert server.stats()["paid_twice"] == 0


def test_a_request_is_given_up_after_its_retries_and_asked_again_the_next_time(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.fail("500", "500", "500", where="number 05")
    tally = curate(tmp_path / "run", recipe_of(server, retries=2), store)
    assert (tally.accepted, tally.failed, server.requests) == (STUDIES - 1, 1, STUDIES - 1 + 3)
    again = curate(tmp_path / "run", recipe_of(server, retries=2), store)
    assert (again.accepted, again.asked) == (STUDIES, 1)


def test_a_request_that_cannot_be_served_is_sent_once(tmp_path: Path, store: StudyStore, server: TeacherServer) -> None:
    server.fail("400", where="number 05")
    tally = curate(tmp_path / "run", recipe_of(server), store)
    assert (tally.accepted, tally.failed, server.requests) == (STUDIES - 1, 1, STUDIES)


def test_a_refusal_is_an_end_and_what_it_cost_is_counted(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.fail("refusal", where="number 05")
    tally = curate(tmp_path / "run", recipe_of(server), store)
    assert (tally.accepted, tally.refused, server.requests) == (STUDIES - 1, 1, STUDIES)
    answer = (1_000 * 0.25 + 200 * 2) / 1e6
    assert tally.spend_usd is not None and (STUDIES - 1) * answer < tally.spend_usd <= STUDIES * answer
    again = curate(tmp_path / "run", recipe_of(server), store)
    assert (again.asked, again.refused, again.spend_usd) == (0, 1, pytest.approx(tally.spend_usd))


@pytest.mark.parametrize(
    "fault", ["cut", "reset_before", "reset_after_headers", "200_html", "200_empty_object", "silent"]
)
def test_what_was_never_read_whole_is_not_sent_again_by_itself_and_its_cost_is_a_bound(
    tmp_path: Path, store: StudyStore, server: TeacherServer, fault: str
) -> None:
    recipe = recipe_of(server)
    recipe["teachers"][0]["options"]["seconds"] = 1
    server.fail(fault, where="number 05")
    tally = curate(tmp_path / "run", recipe, store)
    assert (tally.accepted, tally.unknown, server.requests) == (STUDIES - 1, 1, STUDIES)
    assert tally.uncertain_usd is not None and tally.uncertain_usd > 8192 * 2 / 1e6
    again = curate(tmp_path / "run", recipe, store)
    assert (again.asked, again.unknown, again.uncertain_usd) == (0, 1, pytest.approx(tally.uncertain_usd))
    told = curate(tmp_path / "run", {**recipe, "resend_unknown": "yes"}, store)
    assert (told.asked, told.accepted, told.unknown) == (1, STUDIES, 0)
    assert told.uncertain_usd == pytest.approx(tally.uncertain_usd)  # what may have been paid stays so


def test_a_run_that_is_told_to_sends_unknown_ones_again_at_once(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.fail("cut", "cut", where="number 05")
    tally = curate(tmp_path / "run", recipe_of(server, resend_unknown="yes"), store)
    assert (tally.accepted, tally.unknown, server.requests) == (STUDIES, 0, STUDIES + 2)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("401", "check the key"),
        ("404_model", "no such model"),
        ("quota", "used up"),
        ("402", "used up"),
        ("schema", "does not take the schema"),
    ],
)
def test_what_no_request_can_get_round_stops_the_run_after_one(
    tmp_path: Path, store: StudyStore, server: TeacherServer, fault: str, words: str
) -> None:
    server.fail(*[fault] * 300)
    with pytest.raises(TeacherError, match=words):
        curate(tmp_path / "run", recipe_of(server, concurrency=64), store)
    assert server.requests == 1


def test_a_teacher_that_ends_half_way_lets_what_is_under_way_come_in(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.latency = 0.02
    server.fail("ok", "ok", "quota")
    with pytest.raises(TeacherError, match="used up"):
        curate(tmp_path / "run", recipe_of(server, concurrency=4), store)
    ends = Counter({event.key: event.state for event in events(tmp_path / "run")}.values())
    assert ends[State.UNKNOWN] == ends[State.IN_FLIGHT] == 0
    assert ends[State.JUDGED] == server.paid.total()
    assert curate(tmp_path / "run", recipe_of(server), store).accepted == STUDIES
    assert server.stats()["paid_twice"] == 0


def test_a_server_that_never_answers_well_stops_the_run(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.fail(*["429_ms"] * 100)
    with pytest.raises(TeacherError, match="gave no answer to 3 requests in a row"):
        curate(tmp_path / "run", recipe_of(server, retries=2), store)
    assert server.requests == 3


def test_limits_are_kept_and_the_journal_says_what_the_ledger_says(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.latency = 0.01
    server.rates = {"429": 0.2, "500": 0.2, "cut": 0.1, "refusal": 0.1}
    recipe = recipe_of(server, concurrency=3, resend_unknown="yes")
    made = CurateRecipe.model_validate(recipe)
    with RunFolder.open(tmp_path / "run", kind="curate", recipe=made, studies=store) as run:
        engine = Engine(run, made, [load(spec) for spec in made.teachers])
        tally = asyncio.run(engine.work())
        with run.journal.sums() as sums:
            written = History.of(sums)
    assert server.in_flight_most <= 4  # one of them is the question how many there are
    assert tally.accepted + tally.refused == STUDIES
    assert written.calls == engine.session.ledger.calls == tally.asked
    assert written.settled.tokens == engine.session.ledger.settled.tokens
    assert written.settled.usd == pytest.approx(engine.session.ledger.settled.usd)
    assert written.uncertain.usd == pytest.approx(engine.session.ledger.uncertain.usd)


def test_nothing_is_sent_while_the_headers_say_that_nothing_is_left(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "150ms"}
    since = time.monotonic()
    tally = curate(tmp_path / "run", recipe_of(server, limit=4, concurrency=1), store)
    assert tally.accepted == 4
    assert time.monotonic() - since >= 3 * 0.15


def test_tokens_and_dollars_stop_a_run_before_a_request_that_could_pass_them(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    recipe = recipe_of(server, budget={"usd": 0.02}, concurrency=8)
    tally = curate(tmp_path / "run", recipe, store)
    assert tally.ended == "budget"
    assert tally.spend_usd is not None and 0 < tally.spend_usd <= 0.02
    assert server.paid.total() == tally.asked < STUDIES


def test_a_model_without_a_price_costs_an_unknown_sum(tmp_path: Path, store: StudyStore, server: TeacherServer) -> None:
    recipe = recipe_of(server)
    recipe["teachers"][0]["options"]["model"] = "house-model"
    assert curate(tmp_path / "run", recipe, store).spend_usd is None
    prices = tmp_path / "prices.yaml"
    prices.write_text(
        "prices: [{provider: openai, model: house-model, since: 2026-01-01, input: 1, output: 1, source: ours}]"
    )
    told = curate(tmp_path / "run2", {**recipe, "prices": str(prices)}, store)
    assert told.spend_usd == pytest.approx(STUDIES * 1_200 / 1e6)


def test_neither_key_nor_report_is_told_by_logs_errors_or_the_manifest(
    tmp_path: Path, store: StudyStore, server: TeacherServer, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """With every logger at DEBUG, and a server whose errors quote what it was sent."""
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "anthropic", "httpx2", "httpcore2", "aiohttp", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    told = []
    faults = ["400", "413", "500", "429_ms", "cut", "200_html", "200_bad_json", "refusal", "401"]
    for at, fault in enumerate(faults):
        server.fail("ok", fault, where="")
        file = tmp_path / f"{at}.yaml"
        file.write_text(yaml.safe_dump(recipe_of(server, retries=1)))
        run = tmp_path / f"run{at}"
        main(["curate", str(file), "--studies", str(tmp_path / "studies"), "--out", str(run), "--limit", "2"])
        main(["status", str(run)])
        told += [(run / name).read_text() for name in ("manifest.json", "recipe.yaml")]
        told += [json.dumps([e.body for e in events(run) if e.state is not State.JUDGED])]
        assert KEY.encode() not in b"".join(f.read_bytes() for f in run.iterdir())
    try:
        server.fail("401")
        curate(tmp_path / "run", recipe_of(server), store)
    except TeacherError:
        told.append(traceback.format_exc())
    out, err = capfd.readouterr()
    told += [out, err, caplog.text]
    for text in told:
        assert KEY not in text
        assert CANARY not in text


def started(tmp_path: Path, server: TeacherServer, requests: int) -> "subprocess.Popen[bytes]":
    """The command in a process of its own, once it has sent so many requests."""
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe_of(server, concurrency=3)))
    words = ["curate", str(file), "--studies", str(tmp_path / "studies"), "--out", str(tmp_path / "run"), "--json"]
    command = [sys.executable, "-m", "tenstep", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and server.requests < requests:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_lets_what_is_under_way_come_in_and_the_same_command_goes_on(
    tmp_path: Path, store: StudyStore, server: TeacherServer, name: str
) -> None:
    server.latency = 0.3
    process = started(tmp_path, server, 3)
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.startswith(b"stopped; the same command goes on from here\n")
    assert json.loads(out)["ended"] == "stopped"
    ends = Counter({e.key: e.state for e in events(tmp_path / "run")}.values())
    assert ends[State.UNKNOWN] == ends[State.IN_FLIGHT] == 0
    assert 0 < ends[State.JUDGED] == server.paid.total() < STUDIES
    server.latency = 0
    recipe = recipe_of(server, concurrency=3, studies=str(store.root.resolve()))
    assert curate(tmp_path / "run", recipe, store).accepted == STUDIES
    assert server.stats()["paid_twice"] == 0


def test_a_second_ctrl_c_does_not_wait_and_what_was_under_way_is_unknown(
    tmp_path: Path, store: StudyStore, server: TeacherServer
) -> None:
    server.latency = 30
    process = started(tmp_path, server, 1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert states(tmp_path / "run", "t/00")[-1] is State.IN_FLIGHT
    server.latency = 0
    recipe = recipe_of(server, concurrency=3, studies=str(store.root.resolve()))
    tally = curate(tmp_path / "run", recipe, store)
    assert (tally.accepted, tally.unknown) == (STUDIES - 1, 1)
    assert server.stats()["paid_twice"] == 0
