"""Runs through batches: rounds of repairs, the budget and the goal, and ends at any point that cost nothing twice."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from curation_parts import make_store
from servers import replies
from servers.studies import make_study, options_for
from servers.teacher import TeacherServer
from tenstep.curation.batch_run import BatchRun
from tenstep.curation.teacher import load
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import PolicyError, TeacherError
from tenstep.schemas.run import Manifest

N = 12
PRICED = {"openai": "gpt-5", "anthropic": "claude-haiku-4-5"}
KINDS = tuple(PRICED)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TeacherServer]:
    monkeypatch.setenv("TEACHER_KEY", "sk-canary-77")
    with TeacherServer() as running:
        running.batches.polls = 2
        yield running


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return make_store(tmp_path / "studies", (make_study(str(number)) for number in range(N)))


class Interrupted(BaseException):
    """Stands for a kill: nothing is tidied up."""


class Run:
    """The command, again and again on the same folder."""

    def __init__(self, kind: str, server: TeacherServer, store: StudyStore, folder: Path, **recipe: Any) -> None:
        teacher = {"kind": kind, "options": options_for(kind, server) | {"batch": True, "model": PRICED[kind]}}
        self.recipe = CurateRecipe.model_validate(
            {"kind": "curate", "name": "t", "teachers": [teacher], "studies": str(store.root), **recipe}
        )
        self.store, self.folder = store, folder
        self.waits: list[str] = []

    def __call__(self, *, stop_after: int | None = None, die_after: int | None = None) -> Manifest:
        with RunFolder.open(self.folder, kind="curate", recipe=self.recipe, studies=self.store) as run:
            teachers = [load(spec) for spec in self.recipe.teachers]
            looks = 0

            def on_wait(line: str) -> None:
                nonlocal looks
                looks += 1
                self.waits.append(line)
                if looks == stop_after:
                    work.stop()
                if looks == die_after:
                    raise Interrupted

            work = BatchRun(run, self.recipe, teachers, every=0.01, on_wait=on_wait)
            tally = asyncio.run(work.work())
            self.ended = work.tally.ended
            return run.finish(spend_usd=tally.spend_usd, studies=len(self.store))


def bodies(server: TeacherServer) -> list[str]:
    """Every request that was ever in a batch."""
    return [json.dumps(r.get("params") or r["body"]) for b in server.batches.held.values() for r in b.requests]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_through_one_batch_at_half_the_price(
    kind: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    manifest = Run(kind, server, store, tmp_path / "run")()
    assert manifest.counts["accepted"] == N
    assert (server.batches.created, len(server.seen)) == (1, 0)
    # 900 fresh and 100 cached input tokens, 200 output tokens
    full = {"openai": (900 * 1.25 + 100 * 0.125 + 200 * 10) / 1e6, "anthropic": (900 + 100 * 0.1 + 200 * 5) / 1e6}
    assert manifest.spend_usd == pytest.approx(N * full[kind] / 2)


def test_repairs_go_in_further_batches(server: TeacherServer, store: StudyStore, tmp_path: Path) -> None:
    def write(body: dict[str, Any]) -> str:
        return replies.steps_json() if "earlier_answer" in json.dumps(body) else replies.steps_json(extra="chatter")

    server.write = write
    manifest = Run("openai", server, store, tmp_path / "run")()
    assert (manifest.counts["accepted"], manifest.counts["repaired"]) == (N, N)
    assert [len(batch.requests) for batch in server.batches.held.values()] == [N, N]


@pytest.mark.parametrize("kind", KINDS)
def test_what_expires_is_asked_again_and_what_keeps_failing_is_given_up(
    kind: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.batches.expired = 0.4
    manifest = Run(kind, server, store, tmp_path / "run", retries=20)()
    assert manifest.counts["accepted"] == N
    assert set(server.batches.paid.values()) == {1}
    server.batches.expired = 1.0
    manifest = Run(kind, server, store, tmp_path / "other", retries=1)()
    assert (manifest.counts["accepted"], manifest.counts["failed"]) == (0, N)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [1, 3, 5])
@pytest.mark.parametrize("how", ["stop_after", "die_after"])
def test_a_run_that_ends_at_any_look_goes_on_without_paying_twice(
    kind: str, at: int, how: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.batches.polls = 4
    server.batches.expired = 0.3
    run = Run(kind, server, store, tmp_path / "run", retries=20)
    try:
        run(**{how: at})
        assert how == "stop_after" and run.ended == "stopped"
    except Interrupted:
        assert how == "die_after"
    assert run().counts["accepted"] == N
    assert set(server.batches.paid.values()) == {1} and len(server.batches.paid) == N
    again = server.batches.created
    assert run().counts["accepted"] == N and server.batches.created == again


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_while_a_batch_is_created_sends_nothing_twice(
    kind: str, server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.fail("reset_before", where="/batches" if kind == "openai" else "/messages/batches")
    run = Run(kind, server, store, tmp_path / "run")
    with pytest.raises(Interrupted):
        run(die_after=1)  # right after the answer was lost
    assert run().counts["accepted"] == N
    assert server.batches.created == 1 and set(server.batches.paid.values()) == {1}


def test_a_goal_buys_no_more_than_it_can_still_need(server: TeacherServer, store: StudyStore, tmp_path: Path) -> None:
    run = Run("openai", server, store, tmp_path / "run", goal={"accepted": 5})
    assert run().counts["accepted"] == 5
    assert run.ended == "goal" and len(bodies(server)) == 5


def test_a_budget_is_kept_before_anything_is_sent(server: TeacherServer, store: StudyStore, tmp_path: Path) -> None:
    run = Run("openai", server, store, tmp_path / "run", budget={"calls": 4})
    assert run().counts["accepted"] == 4
    assert run.ended == "budget" and len(bodies(server)) == 4


def test_restricted_data_is_refused_before_a_study_is_read(server: TeacherServer, tmp_path: Path) -> None:
    store = make_store(tmp_path / "studies", [make_study(data_class="restricted")])
    run = Run("openai", server, store, tmp_path / "run")
    with pytest.raises(PolicyError, match="batch"):
        run()
    assert server.requests == 0


def test_a_wrong_key_ends_the_run_and_the_next_one_goes_on(
    server: TeacherServer, store: StudyStore, tmp_path: Path
) -> None:
    server.fail("401", where="/files")
    run = Run("openai", server, store, tmp_path / "run")
    with pytest.raises(TeacherError, match="TEACHER_KEY"):
        run()
    assert run().counts["accepted"] == N
    assert server.batches.created == 1


def test_a_provider_in_trouble_is_waited_for(server: TeacherServer, store: StudyStore, tmp_path: Path) -> None:
    server.fail("429_seconds", "429", where="/batches")
    server.fail("500", where="/files")
    run = Run("openai", server, store, tmp_path / "run")
    assert run().counts["accepted"] == N
    assert server.batches.created == 1
