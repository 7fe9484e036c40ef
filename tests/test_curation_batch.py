"""Batches of both providers: partial and strange results, kills between any two steps, and nothing submitted twice."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers.studies import ask_about, make_image, make_study, options_for
from servers.teacher import TeacherServer
from tenstep.curation.clients.batch import Batches
from tenstep.curation.clients.batch_apis import Outcome
from tenstep.curation.clients.batch_log import custom_id
from tenstep.curation.clients.envelope import unseal
from tenstep.curation.teacher import Unanswered, load
from tenstep.schemas.errors import TeacherError
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.run import State

KINDS = ("openai", "openai-chat", "anthropic")
KEYS = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(20)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TeacherServer]:
    monkeypatch.setenv("TEACHER_KEY", "sk-canary-77")
    with TeacherServer() as running:
        yield running


class Client:
    """Each method is a process of its own: it opens the ledger anew."""

    def __init__(self, kind: str, server: TeacherServer, folder: Path) -> None:
        self.teacher: Any = load(TeacherSpec(kind=kind.removesuffix("-chat"), options=options_for(kind, server)))
        self.folder = folder

    def __call__(self, work: Callable[[Batches], Any], **more: Any) -> Any:
        async def process() -> Any:
            batches: Batches = self.teacher.batches(self.folder)
            batches._grace = more.get("grace", 120.0)
            batches._late = more.get("late", 3600.0)
            try:
                return await work(batches)
            finally:
                await batches.close()

        return asyncio.run(process())

    async def body(self, key: str) -> Mapping[str, Any]:
        body: Mapping[str, Any] = await self.teacher.body(ask_about(make_study(key[:8])))
        return body

    def submit(self, keys: list[str] = KEYS) -> int:
        return int(self(lambda batches: batches.submit(keys, self.body)).sent)

    def harvest(self, **more: Any) -> list[tuple[str, Outcome]]:
        async def all_of(batches: Batches) -> list[tuple[str, Outcome]]:
            return [pair async for some in batches.harvest() for pair in some]

        found: list[tuple[str, Outcome]] = self(all_of, **more)
        return found

    def pending(self) -> frozenset[str]:
        async def look(batches: Batches) -> frozenset[str]:
            return batches.pending

        found: frozenset[str] = self(look)
        return found


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, server: TeacherServer, tmp_path: Path) -> Client:
    return Client(request.param, server, tmp_path / "batches")


def states(outcomes: list[tuple[str, Outcome]]) -> dict[str, str]:
    return {key: out.state.value if isinstance(out, Unanswered) else "answered" for key, out in outcomes}


def test_every_answer_comes_back_under_its_key(client: Client, server: TeacherServer) -> None:
    assert client.submit() == 20
    assert client.pending() == set(KEYS)
    outcomes = client.harvest()
    assert sorted(key for key, _ in outcomes) == sorted(KEYS)
    for _, raw in outcomes:
        assert isinstance(raw, bytes)
        reply = client.teacher.read(raw)
        assert reply.batched and reply.usage.output_tokens == 200 and "step_10" in reply.text
    assert client.pending() == frozenset() and client.harvest() == []
    assert server.batches.created == 1 and set(server.batches.paid.values()) == {1}


def test_names_in_a_batch_say_nothing_of_a_study(client: Client, server: TeacherServer) -> None:
    client.submit()
    names = [request["custom_id"] for batch in server.batches.held.values() for request in batch.requests]
    assert names == [custom_id(key) for key in KEYS] and all(len(name) == 40 for name in names)


def test_images_go_with_a_batch(server: TeacherServer, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    study = make_study(images=(make_image(tmp_path / "films"), make_image(tmp_path / "films", "lateral")))
    for kind in KINDS:
        client = Client(kind, server, tmp_path / kind)
        client(lambda batches, c=client: batches.submit(KEYS[:1], lambda key: c.teacher.body(ask_about(study))))
    assert [json.dumps(batch.requests).count("image/png") for batch in server.batches.held.values()] == [2] * len(KINDS)


def test_a_request_that_cannot_be_made_holds_up_no_other(client: Client) -> None:
    async def body(key: str) -> Mapping[str, Any]:
        if key == KEYS[3]:
            raise Unanswered(State.FAILED, "no image", sent=False)
        return await client.body(key)

    submitted = client(lambda batches: batches.submit(KEYS, body))
    assert submitted.sent == 19 and list(submitted.unsent) == [KEYS[3]]
    assert KEYS[3] not in client.pending()


def test_what_has_expired_or_failed_can_be_asked_again_and_the_rest_is_kept(
    client: Client, server: TeacherServer
) -> None:
    server.batches.expired, server.batches.errored = 0.3, 0.2
    client.submit()
    found = client.harvest()
    counts = states(found)
    assert set(counts) == set(KEYS) and {"answered", "failed"} == set(counts.values())
    again = [key for key, out in found if isinstance(out, Unanswered) and out.retryable]
    hopeless = [key for key, out in found if isinstance(out, Unanswered) and not out.retryable]
    assert again and hopeless
    server.batches.expired = server.batches.errored = 0.0
    assert client.submit(again) == len(again)
    assert set(states(client.harvest()).values()) == {"answered"}
    assert set(server.batches.paid.values()) == {1}


def test_a_batch_that_was_cancelled_gives_what_it_had(client: Client, server: TeacherServer) -> None:
    client.submit()
    for batch in server.batches.held.values():
        batch.canceled = True
    assert set(states(client.harvest()).values()) == {"failed"}


def test_a_request_without_a_line_is_unknown(client: Client, server: TeacherServer) -> None:
    server.batches.lost, server.batches.torn = 2, True
    client.submit()
    counts = list(states(client.harvest()).values())
    assert (counts.count("unknown"), counts.count("answered")) == (3, 17)


def test_a_batch_that_names_no_output_file_yet_is_looked_at_again(server: TeacherServer, tmp_path: Path) -> None:
    server.batches.no_output = True
    client = Client("openai", server, tmp_path / "b")
    client.submit()
    assert client.harvest() == [] and client.pending() == set(KEYS)
    server.batches.no_output = False
    assert set(states(client.harvest()).values()) == {"answered"}
    assert server.batches.created == 1


def test_a_batch_that_never_names_its_output_file_is_unknown(server: TeacherServer, tmp_path: Path) -> None:
    server.batches.no_output = True
    client = Client("openai", server, tmp_path / "b")
    client.submit()
    assert set(states(client.harvest(late=0.0)).values()) == {"unknown"}


def test_a_batch_that_still_runs_is_left_alone(client: Client, server: TeacherServer) -> None:
    server.batches.polls = 3
    client.submit()
    assert client.harvest() == client.harvest() == []
    assert len(client.harvest()) == 20


def test_a_key_that_is_in_a_batch_is_not_submitted_again(client: Client, server: TeacherServer) -> None:
    client.submit(KEYS[:12])
    assert client.submit(KEYS) == 8
    assert client.submit(KEYS) == 0
    assert len(client.harvest()) == 20
    assert set(server.batches.paid.values()) == {1}


def test_large_submissions_are_cut_into_several_batches(client: Client, server: TeacherServer) -> None:
    async def submit(batches: Batches) -> int:
        batches._api.most_requests = 6
        return (await batches.submit(KEYS, client.body)).sent

    assert client(submit) == 20
    assert [len(batch.requests) for batch in server.batches.held.values()] == [6, 6, 6, 2]
    assert len(client.harvest()) == 20


def test_a_batch_is_never_larger_than_the_provider_takes(client: Client, server: TeacherServer) -> None:
    async def submit(batches: Batches) -> int:
        batches._api.most_bytes = 5 * len(batches._api.line(KEYS[0], await client.body(KEYS[0])))
        return (await batches.submit(KEYS, client.body)).sent

    assert client(submit) == 20
    assert [len(batch.requests) for batch in server.batches.held.values()] == [5, 5, 5, 5]


# --- kills ---


@pytest.mark.parametrize("fault", ["reset_before", "cut", "reset_after_headers", "500", "200_html", "200_empty_object"])
def test_a_batch_whose_creation_was_not_heard_of_is_found_again(
    client: Client, server: TeacherServer, fault: str
) -> None:
    server.batches.polls = 2
    server.fail(fault, where="/messages/batches" if isinstance_anthropic(client) else "/batches")
    with pytest.raises(Unanswered) as caught:
        client.submit()
    assert caught.value.state is State.UNKNOWN
    assert server.batches.created == 1
    assert client.pending() == set(KEYS)
    assert client.submit() == 0  # nobody knows yet: nothing goes twice
    for _ in range(3):
        client(lambda batches: batches.reconcile(), grace=0.0)
        found = client.harvest()
        if found:
            break
    assert set(states(found).values()) == {"answered"} and len(found) == 20
    assert server.batches.created == 1 and set(server.batches.paid.values()) == {1}


@pytest.mark.parametrize("hours", [-26, -2, 2, 26])
def test_a_clock_that_is_hours_off_buys_no_batch_twice(
    client: Client, server: TeacherServer, hours: int, tmp_path: Path
) -> None:
    other = Client("anthropic" if isinstance_anthropic(client) else "openai", server, tmp_path / "other")
    other.submit([hashlib.sha256(b"x").hexdigest()])
    client.submit()
    for batch in server.batches.held.values():
        batch.created_at += hours * 3600
    ledger = client.folder / "ledger.jsonl"
    kept = [line for line in ledger.read_text().splitlines() if '"created"' not in line]
    ledger.write_text("\n".join(kept) + "\n")  # what a kill between request and note leaves
    client(lambda batches: batches.reconcile(), grace=0.0)
    assert client.pending() == set(KEYS) and client.submit() == 0
    assert len(client.harvest()) == 20 and server.batches.created == 2


def isinstance_anthropic(client: Client) -> bool:
    return bool(client.teacher.identity()["provider"] == "anthropic")


def test_a_batch_that_was_never_created_is_let_go_once_that_is_sure(client: Client, server: TeacherServer) -> None:
    note_intent(client, KEYS)
    client(lambda batches: batches.reconcile())
    assert client.pending() == set(KEYS)  # it may appear yet
    client(lambda batches: batches.reconcile(), grace=0.0)
    assert client.pending() == frozenset()
    assert client.submit() == 20 and len(client.harvest()) == 20


def note_intent(client: Client, keys: list[str]) -> None:
    """What a kill right before the request leaves."""
    import time

    line = {"state": "intent", "shard": "f" * 64, "at": time.time(), "keys": keys}
    client.folder.mkdir(exist_ok=True)
    (client.folder / "ledger.jsonl").write_text(json.dumps(line) + "\n")


def test_others_batches_are_not_taken_for_ours(client: Client, server: TeacherServer, tmp_path: Path) -> None:
    other = Client("anthropic" if isinstance_anthropic(client) else "openai", server, tmp_path / "other")
    strangers = [hashlib.sha256(f"x{n}".encode()).hexdigest() for n in range(20)]
    other.submit(strangers)
    other.harvest()
    note_intent(client, KEYS)
    client(lambda batches: batches.reconcile(), grace=0.0)
    assert client.pending() == frozenset()


def test_a_harvest_that_is_cut_short_is_handed_out_again_and_fetched_once(
    client: Client, server: TeacherServer
) -> None:
    async def first_of(batches: Batches) -> None:
        harvest: AsyncIterator[Any] = batches.harvest()
        async for _ in harvest:
            raise KeyboardInterrupt

    client.submit()
    with pytest.raises(KeyboardInterrupt):
        client(first_of)
    assert client.pending() == set(KEYS)
    for batch in server.batches.held.values():
        batch.output = batch.errors = b""  # the provider has deleted them since
    server.files.held.clear()
    assert set(states(client.harvest()).values()) == {"answered"}
    assert client.pending() == frozenset()


def test_a_ledger_torn_by_a_kill_is_read_up_to_there(client: Client, server: TeacherServer) -> None:
    client.submit()
    ledger = client.folder / "ledger.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-20])  # the line `created` is torn: it counts as not noted
    assert client.pending() == set(KEYS)
    client(lambda batches: batches.reconcile(), grace=0.0)
    for _ in range(2):
        client(lambda batches: batches.reconcile(), grace=0.0)
    assert len(client.harvest()) == 20
    assert server.batches.created == 1


# --- turned away ---


@pytest.mark.parametrize("fault", ["429_seconds", "413"])
def test_a_batch_that_was_turned_away_frees_its_keys(client: Client, server: TeacherServer, fault: str) -> None:
    path = "/messages/batches" if isinstance_anthropic(client) else "/batches"
    server.fail(fault, where=path)
    with pytest.raises(Unanswered) as caught:
        client.submit()
    assert caught.value.state is State.FAILED
    assert client.pending() == frozenset()
    assert client.submit() == 20


@pytest.mark.parametrize("fault", ["500", "cut", "200_html", "429"])
def test_a_file_that_was_not_taken_frees_the_keys(server: TeacherServer, tmp_path: Path, fault: str) -> None:
    client = Client("openai", server, tmp_path / "b")
    server.fail(fault, where="/files")
    with pytest.raises(Unanswered):
        client.submit()
    assert client.pending() == frozenset() and server.batches.created == 0
    assert client.submit() == 20


def test_a_wrong_key_is_one_line_and_frees_the_keys(
    client: Client, server: TeacherServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail("401", where="/messages/batches" if isinstance_anthropic(client) else "/files")
    with pytest.raises(TeacherError, match="TEACHER_KEY"):
        client.submit()
    assert client.pending() == frozenset()


def test_results_keep_the_provider_s_words(client: Client) -> None:
    client.submit(KEYS[:1])
    ((_, raw),) = client.harvest()
    assert isinstance(raw, bytes)
    envelope = unseal(raw)
    assert envelope.batched and json.loads(envelope.body)["usage"]
    assert len(list(client.folder.glob("*.results.jsonl"))) == 1
