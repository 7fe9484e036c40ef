"""Whole runs against servers that fail: nothing lost, nothing malformed accepted, nothing paid twice, nothing told."""

import asyncio
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.faults import FAULTS
from servers.studies import make_image, make_study, options_for
from servers.teacher import TeacherServer
from tenstep.curation.engine import Engine
from tenstep.curation.requests.tally import Tally
from tenstep.curation.teacher import load
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import TeacherError
from tenstep.schemas.run import Manifest, State

KEY = "sk-canary-9d8c7b6a"
KINDS = ("openai", "openai-chat", "anthropic", "local")
N = 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TeacherServer]:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    with TeacherServer() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    (tmp_path / "films").mkdir()
    with StudyStore.create(tmp_path / "studies", "t") as writer:
        for number in range(N):
            image = make_image(tmp_path / "films")
            writer.add(make_study(str(number), f"Findings: The lungs are clear. Film {number}.", (image,)))
    return StudyStore.open(tmp_path / "studies")


def recipe_for(kind: str, server: TeacherServer, **more: Any) -> CurateRecipe:
    options = options_for(kind, server) | {"seconds": 30.0}  # on a busy machine a request of one second may be lost
    teacher = {"kind": kind.removesuffix("-chat"), "options": options}
    repair = {"attempts": 1}
    return CurateRecipe.model_validate(
        {"kind": "curate", "name": "t", "teachers": [teacher], "repair": repair, "concurrency": 8, **more}
    )


def curate(folder: Path, recipe: CurateRecipe, store: StudyStore) -> tuple[Tally, Manifest]:
    with RunFolder.open(folder, kind="curate", recipe=recipe, studies=store) as run:
        tally = asyncio.run(Engine(run, recipe, [load(spec) for spec in recipe.teachers]).work())
        return tally, run.finish(spend_usd=tally.spend_usd, studies=len(store))


def lost_with(faults: list[str | None]) -> bool:
    """Whether the last answer for a study never arrived, or cannot be read as one."""
    return faults[-1] in ("reset_before", "200_html")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_a_fault_in_every_fifth_request_loses_nothing(
    kind: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.rates = {"429_ms": 0.08, "500": 0.04, "reset_before": 0.03, "malformed": 0.03, "200_html": 0.02}
    server.rates_where = "lungs are clear"
    _, manifest = curate(tmp_path / "run", recipe_for(kind, server), store)
    failed = [seen.fault for seen in server.seen if seen.fault]
    assert len(failed) > 3
    # every study ends as what the server sent for it says, and in no other way
    sent = defaultdict[str, list[str | None]](list)
    for seen in server.seen:
        if film := re.search(r"Film \d+", json.dumps(seen.body)):
            sent[film[0]].append(seen.fault)
    assert len(sent) == N
    good = sum(None in faults for faults in sent.values())
    unreadable = sum(None not in faults and "malformed" in faults for faults in sent.values())  # its repair as well
    lost = sum(fault in ("reset_before", "200_html") for fault in failed)
    counts = manifest.counts
    assert (counts["accepted"], counts["rejected"], counts["doubted"]) == (good, unreadable, 0)
    assert counts.get("unknown", 0) == lost
    # none is given up while it could be sent again or repaired
    assert all(faults.count("malformed") == 2 or lost_with(faults) for faults in sent.values() if None not in faults)
    # each request is either the first of its kind, or repeats one that the server took nothing for
    free = sum(fault is not None and not FAULTS[fault].paid for fault in failed)
    assert len(server.seen) == len(server.asked) + free
    assert set(server.paid.values()) == {1}
    for row in (tmp_path / "run" / "accepted.jsonl").read_text().splitlines():
        assert len(json.loads(row)["trace"]["steps"]) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_unknown_is_sent_again_only_when_told_to(
    kind: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.fail("ok", "ok", "cut", "reset_before")
    tally, _ = curate(tmp_path / "run", recipe_for(kind, server), store)
    assert tally.unknown == 2
    before = server.requests
    tally, _ = curate(tmp_path / "run", recipe_for(kind, server), store)
    assert tally.unknown == 2 and server.requests == before
    _, manifest = curate(tmp_path / "run", recipe_for(kind, server, resend_unknown="yes"), store)
    assert manifest.counts["accepted"] == N
    assert server.requests == before + 2 + (kind == "local")  # and one trial


@pytest.mark.parametrize("kind", ["openai", "openai-chat", "anthropic"])
@pytest.mark.parametrize("fault", ["401", "403", "402", "quota", "404_model", "schema", "307"])
def test_a_run_that_cannot_go_on_ends_at_once(
    kind: str, fault: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.fail(*[fault] * N)
    with pytest.raises(TeacherError) as caught:
        curate(tmp_path / "run", recipe_for(kind, server), store)
    assert server.requests == 1
    assert len(str(caught.value).splitlines()) == 1
    if fault in ("403", "404_model", "schema"):
        assert "the first requests of the run were turned away, so the run ends here" in str(caught.value)
    server._planned.clear()
    _, manifest = curate(tmp_path / "run", recipe_for(kind, server), store)
    assert manifest.counts["accepted"] == N


@pytest.mark.parametrize("kind", ["openai", "openai-chat", "anthropic"])
@pytest.mark.parametrize("fault", ["403", "404_model", "schema", "parameter"])
def test_one_request_that_is_denied_among_answers_ends_nothing(
    kind: str, fault: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    recipe = recipe_for(kind, server)
    server.fail(fault, where="Film 7.")
    server.fail("ok", "ok")
    tally, manifest = curate(tmp_path / "run", recipe, store)
    assert (manifest.counts["accepted"], tally.failed) == (N - 1, 1)
    server.fail(fault, where="Film 7.")  # the first question of the next call; there were answers before
    tally, manifest = curate(tmp_path / "run", recipe, store)
    assert (manifest.counts["accepted"], tally.failed, tally.asked) == (N - 1, 1, 1)
    _, manifest = curate(tmp_path / "run", recipe, store)
    assert manifest.counts["accepted"] == N
    assert set(server.paid.values()) == {1}


def test_a_key_that_is_revoked_in_the_middle_ends_the_run(
    server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.fail("ok", "ok", *["403"] * N)
    with pytest.raises(TeacherError, match=r"TEACHER_KEY.* requests in a row were turned away"):
        curate(tmp_path / "run", recipe_for("openai", server), store)
    assert 2 + 32 <= server.requests <= 2 + 32 + 8  # those under way when it was plain


def test_an_answer_that_cannot_be_read_is_read_again_and_not_bought_again(
    server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.fail("ok", "200_empty_object", "cut")
    curate(tmp_path / "run", recipe_for("openai", server), store)
    before = server.requests
    tally, manifest = curate(tmp_path / "run", recipe_for("openai", server, resend_unknown="unanswered"), store)
    assert (server.requests, tally.asked, tally.unknown) == (before + 1, 1, 1)  # the one that was cut off
    with RunFolder.read(tmp_path / "run") as run:
        assert run.journal.unread() == manifest.counts["unknown"] == 1
    tally, manifest = curate(tmp_path / "run", recipe_for("openai", server, resend_unknown="yes"), store)
    assert (server.requests, manifest.counts["accepted"]) == (before + 2, N)


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_that_came_is_in_the_journal(
    kind: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.fail("ok", "200_html", "200_empty_object", "refusal", "malformed", "length_stop")
    recipe = recipe_for(kind, server, limit=12)
    curate(tmp_path / "run", recipe, store)
    with RunFolder.read(tmp_path / "run") as run:
        raws = [event.raw or b"" for event in run.journal.latest(State.RECEIVED)]
        states = list(run.journal.states().values())
    assert len(raws) == 12 + 2  # two repairs
    assert any(b"<!doctype html>" in raw for raw in raws) and any(raw.endswith(b"\n{}") for raw in raws)
    assert (states.count(State.UNKNOWN), states.count(State.REFUSED)) == (2, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_is_nowhere(
    kind: str,
    server: TeacherServer,
    store: StudyStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.fail("ok", "429_ms", "500", "cut", "refusal", "200_html")
    curate(tmp_path / "run", recipe_for(kind, server), store)
    server.fail("401")
    with pytest.raises(TeacherError) as caught:
        curate(tmp_path / "other", recipe_for(kind, server), store)
    out, err = capfd.readouterr()
    files = [path for folder in ("run", "other") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert files
    told = [str(caught.value), repr(caught.value), caplog.text, out, err]
    # and nothing of a report is in what a user sees
    assert not any(KEY in text or "lungs are clear" in text for text in told)
    assert not any(KEY.encode() in file.read_bytes() for file in files)
