"""The one HTTP client: where nothing goes, what is not followed, and what no log, error or header gives away."""

import asyncio
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from servers.teacher import TeacherServer
from servers.wire import Answer, Loopback
from tenstep.curation.clients.endpoint import Endpoint, pack
from tenstep.curation.clients.envelope import seal, unseal
from tenstep.curation.clients.http import client
from tenstep.curation.teacher import Unanswered
from tenstep.schemas.errors import InputError, RecipeError, TeacherError, TenstepError
from tenstep.schemas.run import State

KEY = "sk-canary-1f0e2d3c"
REPORT = "Canary report line about the left lower lobe."
PROVIDERS = ("openai", "anthropic")
either = pytest.mark.parametrize("nth", [1, 2])  # made by the SDK, or as it made the first one


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    with TeacherServer() as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)


def post(provider: Any, url: str, *, seconds: float = 5.0, key_env: str | None = "TEACHER_KEY", nth: int = 1) -> bytes:
    """The n-th request to an endpoint, in a loop of its own; from the second on the SDK does not make it anew."""

    async def once() -> bytes:
        openai = provider == "openai"
        endpoint = Endpoint(provider, url + ("/v1" if openai else ""), key_env=key_env, seconds=seconds)
        try:
            body = {"model": "m", "messages": [{"role": "user", "content": REPORT}], "max_tokens": 9}
            for _ in range(nth - 1):
                await endpoint.post("/chat/completions" if openai else "/v1/messages", pack({**body, "max_tokens": 1}))
            return await endpoint.post("/chat/completions" if openai else "/v1/messages", pack(body))
        finally:
            await endpoint.close()

    return asyncio.run(once())


@either
@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_of_the_environment_redirects_a_request(
    provider: str, nth: int, server: TeacherServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TeacherServer() as spy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, spy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("OPENAI_BASE_URL", spy.url + "/v1")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", spy.url)
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer other\nX-Other: 1")
        monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "Authorization: Bearer other\nX-Other: 1")
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "other")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
        assert unseal(post(provider, server.url, nth=nth)).status == 200
        assert spy.bytes == spy.requests == 0
    sent = server.seen[-1].headers
    assert sent["authorization"] == f"Bearer {KEY}"
    assert {"x-other", "openai-organization", "cookie", "x-api-key"} & set(sent) == set()
    assert len(server.seen) == nth
    assert server.seen[0].headers | {"content-length": ""} == sent | {"content-length": ""}


@either
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(provider: str, status: int, nth: int, server: TeacherServer) -> None:
    with TeacherServer() as spy:
        moved = Answer(status, b"", {"location": spy.url + "/v1/messages"})
        answers = [Answer(200, b"{}")] * (nth - 1) + [moved]
        with (
            Loopback(lambda request: answers.pop(0)) as old,
            pytest.raises(TeacherError, match="redirects are not followed"),
        ):
            post(provider, old.url, nth=nth)
        assert answers == []
        assert spy.bytes == spy.requests == 0


@either
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["ok", "401", "cut", "500", "silent", "200_html", "gzip_bomb"])
def test_neither_key_nor_report_is_in_logs_or_errors(
    provider: str,
    fault: str,
    nth: int,
    server: TeacherServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    monkeypatch.setenv("OPENAI_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    server.fail(*["ok"] * (nth - 1), fault)
    told = ""
    try:
        post(provider, server.url, seconds=0.5 if fault == "silent" else 10, nth=nth)
    except (TenstepError, Unanswered) as error:
        assert error.__context__ is None and error.__cause__ is None
        told = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert len(server.seen) == nth
    assert KEY not in told + caplog.text
    assert REPORT not in told + caplog.text


def test_no_option_and_no_object_shows_the_key(server: TeacherServer) -> None:
    endpoint = Endpoint("openai", server.url + "/v1", key_env="TEACHER_KEY", seconds=5)
    assert KEY not in repr(vars(endpoint))


@pytest.mark.parametrize(("value", "told"), [(None, "not set"), ("  ", "not set"), ("a\nb", "characters")])
def test_a_missing_key_is_one_line_and_nothing_is_sent(
    value: str | None, told: str, server: TeacherServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEACHER_KEY") if value is None else monkeypatch.setenv("TEACHER_KEY", value)
    with pytest.raises(TeacherError, match=f"TEACHER_KEY.*{told}"):
        post("openai", server.url)
    assert server.requests == 0


def test_a_server_that_is_down_is_one_line(unused_port: int) -> None:
    with pytest.raises(TeacherError, match="cannot be reached"):
        post("openai", f"http://127.0.0.1:{unused_port}")


@pytest.fixture
def unused_port() -> int:
    with Loopback(lambda request: Answer()) as gone:
        return int(gone.url.rpartition(":")[2])


def test_a_server_that_goes_away_later_is_no_end_of_the_run() -> None:
    async def scenario() -> Unanswered:
        with TeacherServer() as server:
            endpoint = Endpoint("openai", server.url + "/v1", key_env=None, seconds=5)
            await endpoint.post("/chat/completions", b"{}")
        try:
            with pytest.raises(Unanswered) as caught:
                await endpoint.post("/chat/completions", b"{}")
        finally:
            await endpoint.close()
        return caught.value

    no = asyncio.run(scenario())
    # an idle connection may be found dead only when it is used; then nobody knows
    assert (no.state, no.retryable, no.sent) in [(State.FAILED, True, False), (State.UNKNOWN, False, True)]


@either
@pytest.mark.parametrize("provider", PROVIDERS)
def test_one_request_is_one_post_whatever_happens(provider: str, nth: int, server: TeacherServer) -> None:
    for fault in ("cut", "500", "429_ms", "reset_before", "silent", "529", "408", "409", "length_long"):
        server.fail(*["ok"] * (nth - 1), fault)
        before = server.requests
        with pytest.raises(Unanswered):
            post(provider, server.url, seconds=0.5, nth=nth)
        assert server.requests == before + nth, fault


def test_requests_that_the_sdk_does_not_make_anew_carry_their_own_body(server: TeacherServer) -> None:
    async def thrice() -> None:
        endpoint = Endpoint("openai", server.url + "/v1", key_env="TEACHER_KEY", seconds=5)
        for words in ("a", "b" * 3_000_000, ""):
            await endpoint.post("/chat/completions", pack({"model": "m", "messages": [], "words": words}))
        await endpoint.close()

    asyncio.run(thrice())
    assert [len(seen.body["words"]) for seen in server.seen] == [1, 3_000_000, 0]


def test_an_answer_that_is_packed_unasked_is_unpacked_within_the_limit() -> None:
    async def read(fault: str, most_bytes: int) -> bytes:
        with TeacherServer() as server:
            server.fail(fault)
            async with client(5, most_bytes) as http:
                return (await http.post(server.url + "/v1/responses", content=b"{}")).content

    assert b"frontal projection" in asyncio.run(read("gzip", 1 << 20))
    for fault, most_bytes in (("gzip_bomb", 1 << 20), ("ok", 100)):
        with pytest.raises(httpx2.DecodingError):
            asyncio.run(read(fault, most_bytes))


def test_an_unknown_packing_is_refused() -> None:
    async def read() -> None:
        with Loopback(lambda request: Answer(200, b"...", {"content-encoding": "br"})) as server:
            async with client(5) as http:
                await http.get(server.url)

    with pytest.raises(httpx2.DecodingError):
        asyncio.run(read())


def test_a_large_body_arrives_whole(server: TeacherServer) -> None:
    async def once() -> None:
        async with client(20) as http:
            content = pack({"model": "m", "input": "x" * 5_000_000})
            assert (await http.post(server.url + "/v1/responses", content=content)).status_code == 200

    asyncio.run(once())
    assert server.bytes > 5_000_000


@pytest.mark.parametrize("url", ["ftp://x/v1", "https://user:pw@x/v1", "x", "https://x/v1?key=1", "http:///v1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(RecipeError, match="http"):
        Endpoint("openai", url, key_env=None, seconds=1)


def test_what_is_sealed_comes_out_byte_for_byte() -> None:
    body = b'{"a": 1}\n\xff\x00'
    raw = seal(200, [("X-Request-Id", "r"), ("Set-Cookie", "secret"), ("Retry-After", "3")], body)
    envelope = unseal(raw)
    assert (envelope.status, envelope.body, envelope.request_id, envelope.retry_after) == (200, body, "r", 3.0)
    assert b"secret" not in raw
    for broken in (b"", b"{}", b"nonsense\n{}", b"[]\n"):
        with pytest.raises(InputError):
            unseal(broken)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "40", "retry-after": "9"}, 0.04),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "in a while"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert unseal(seal(429, headers.items(), b"")).retry_after == seconds


def test_a_date_in_retry_after_counts_from_now() -> None:
    from servers.faults import soon

    seconds = unseal(seal(429, [("retry-after", soon(60))], b"")).retry_after
    assert seconds is not None and 55 < seconds <= 61
