"""The local teacher: the right parameter for each server, the trial, and a pool that sends nothing twice."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers import replies
from servers.studies import ask_about, make_image, make_study, teacher_for
from servers.teacher import TeacherServer
from servers.wire import Answer, Loopback
from tenstep.curation.clients.servers import Pool
from tenstep.curation.teacher import Teacher, Unanswered, load, request_key
from tenstep.schemas.errors import RecipeError, TeacherError
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.run import State


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    with TeacherServer() as running:
        yield running


def questions(server: TeacherServer) -> list[dict[str, Any]]:
    """Requests that carried data; the trial carries none."""
    return [seen.body for seen in server.seen if len(seen.body["messages"]) == 2]


async def ask_all(teacher: Teacher, names: range) -> list[Any]:
    """Ask about several studies at once; answers and exceptions."""
    try:
        asked = (teacher.ask(ask_about(make_study(str(name)))) for name in names)
        return await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await teacher.close()


def ask(teacher: Teacher, names: range = range(1)) -> list[Any]:
    return asyncio.run(ask_all(teacher, names))


@pytest.mark.parametrize(
    ("kind", "honours"),
    [("vllm", "structured_outputs"), ("llama.cpp", "response_format"), ("ollama", "response_format")],
)
def test_each_server_gets_its_own_parameter(kind: str, honours: Any) -> None:
    with TeacherServer(honours=frozenset({honours})) as server:
        teacher = teacher_for("local", server, {"server": kind})
        (raw,) = ask(teacher)
        reply = teacher.read(raw)
    assert json.loads(reply.text)["step_10"] == replies.STEPS[9]
    assert (reply.reasoning, reply.cost_usd) == (replies.THINKING, 0.0)
    (body,) = questions(server)
    assert {"structured_outputs", "response_format", "json_schema", "guided_json"} & set(body) == {honours}


@pytest.mark.parametrize("images", [True, False])
def test_a_server_that_ignores_the_schema_is_found_out_before_any_data_goes_there(images: bool) -> None:
    with TeacherServer(honours=frozenset({"guided_json"})) as server:
        (no,) = ask(teacher_for("local", server, {"images": images}))
    assert isinstance(no, TeacherError) and "does not enforce" in str(no)
    assert questions(server) == []
    assert ("image" in json.dumps(server.seen[0].body)) == images


def test_free_writing_is_for_those_who_ask_for_it() -> None:
    with TeacherServer(honours=frozenset()) as server:
        teacher = teacher_for("local", server, {"constrained": False})
        (raw,) = ask(teacher)
    assert teacher.read(raw).text == replies.numbered()
    assert "structured_outputs" not in questions(server)[0]


def test_a_model_without_eyes_is_told_of_in_one_line(server: TeacherServer) -> None:
    server.fail("400", where="image_url")
    (no,) = ask(teacher_for("local", server))
    assert isinstance(no, TeacherError) and "set images: false" in str(no)


@pytest.mark.parametrize("fault", ["length_stop", "refusal", "filter", "malformed", "empty_text"])
def test_a_trial_that_goes_wrong_ends_the_run_before_any_data_is_sent(fault: str, server: TeacherServer) -> None:
    server.fail(fault)
    (no,) = ask(teacher_for("local", server))
    assert isinstance(no, TeacherError) and "trial" in str(no)
    assert questions(server) == []


@pytest.mark.parametrize("fault", ["cut", "200_html", "reset_before", "500"])
def test_a_trial_whose_answer_was_lost_is_made_again(fault: str, server: TeacherServer) -> None:
    server.fail(fault)
    (no,) = ask(teacher_for("local", server))
    assert isinstance(no, Unanswered) and no.retryable


def test_a_server_that_still_loads_its_model_is_waited_for(server: TeacherServer) -> None:
    server.fail("503")
    (no,) = ask(teacher_for("local", server))
    assert isinstance(no, Unanswered) and no.retryable and no.throttled


def test_the_trial_is_made_once_a_server(server: TeacherServer) -> None:
    ask(teacher_for("local", server), range(8))
    assert len(server.seen) == 8 + 1


def test_several_images_go_in_one_request(server: TeacherServer, tmp_path: Path) -> None:
    study = make_study(images=(make_image(tmp_path, "PA"), make_image(tmp_path, "lateral")))

    async def once() -> None:
        teacher = teacher_for("local", server)
        await teacher.ask(ask_about(study))
        await teacher.close()

    asyncio.run(once())
    (body,) = questions(server)
    assert json.dumps(body).count("data:image/png;base64,") == 2


def test_extra_parameters_and_seeds_reach_the_server(server: TeacherServer) -> None:
    teacher = teacher_for("local", server, {"seed": 5, "temperature": 0.1, "extra": {"repeat_penalty": 1.1}})

    async def once() -> None:
        await teacher.ask(ask_about(make_study(), sample=2))
        await teacher.close()

    asyncio.run(once())
    (body,) = questions(server)
    assert (body["seed"], body["temperature"], body["repeat_penalty"]) == (7, 0.1, 1.1)


# --- the pool ---


def pool_of(servers: list[TeacherServer], **options: Any) -> Teacher:
    return teacher_for("local", servers[0], {"base_urls": [s.url + "/v1" for s in servers], "seconds": 3, **options})


@pytest.fixture
def three() -> Iterator[list[TeacherServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(TeacherServer(latency=0.02)) for _ in range(3)]


def test_the_work_is_shared_out_and_no_server_is_asked_beyond_its_limit(three: list[TeacherServer]) -> None:
    answers = ask(pool_of(three, limit=4), range(60))
    assert all(isinstance(answer, bytes) for answer in answers)
    counts = [len(questions(server)) for server in three]
    assert sum(counts) == 60 and min(counts) > 10
    assert max(server.in_flight_most for server in three) <= 4


def test_a_server_that_is_down_costs_nothing(three: list[TeacherServer]) -> None:
    with Loopback(lambda request: Answer()) as gone:
        dead = gone.url
    teacher = teacher_for("local", three[0], {"base_urls": [dead + "/v1", three[0].url + "/v1"]})
    answers = ask(teacher, range(10))
    assert all(isinstance(answer, bytes) for answer in answers)
    assert len(questions(three[0])) == 10


def test_a_pool_that_is_down_is_one_line() -> None:
    with Loopback(lambda request: Answer()) as gone:
        dead = gone.url
    (no,) = ask(load(TeacherSpec(kind="local", options={"model": "m", "base_urls": [dead + "/v1"]})))
    assert isinstance(no, TeacherError) and "can be reached" in str(no)


@pytest.mark.parametrize("fault", ["cut", "reset_before", "reset_after_headers", "length_long"])
def test_an_unknown_is_never_sent_to_another_server(fault: str, three: list[TeacherServer]) -> None:
    async def scenario() -> Unanswered:
        teacher = pool_of(three)
        await ask_some(teacher, 3)
        for server in three:
            server.fail(fault, where="the unlucky one")
        with pytest.raises(Unanswered) as caught:
            await teacher.ask(ask_about(make_study(report="Findings: the unlucky one.")))
        await teacher.close()
        return caught.value

    assert asyncio.run(scenario()).state is State.UNKNOWN
    unlucky = [body for server in three for body in questions(server) if "unlucky" in json.dumps(body)]
    assert len(unlucky) == 1


async def ask_some(teacher: Teacher, n: int) -> None:
    """So many at once, so that each server has been tried."""
    await asyncio.gather(*(teacher.ask(ask_about(make_study(f"warm{name}"))) for name in range(n)))


def test_a_failure_is_the_engine_s_to_repeat_and_then_goes_elsewhere(three: list[TeacherServer]) -> None:
    async def scenario() -> Unanswered:
        teacher = pool_of(three)
        await ask_some(teacher, 3)
        question = ask_about(make_study(report="Findings: turned away."))
        three[0].fail("429_slow", where="turned away")
        with pytest.raises(Unanswered) as caught:
            await teacher.ask(question)
        await teacher.ask(question)
        await teacher.close()
        return caught.value

    no = asyncio.run(scenario())
    assert (no.state, no.retryable, no.throttled, no.retry_after) == (State.FAILED, True, False, None)
    where = Counter(at for at, s in enumerate(three) for body in questions(s) if "turned away" in json.dumps(body))
    assert where[0] == 1 and where.total() == 2


def test_a_server_without_others_is_left_to_the_engine(server: TeacherServer) -> None:
    async def scenario() -> Unanswered:
        teacher = teacher_for("local", server)
        server.fail("ok", "ok", "429_slow")
        await teacher.ask(ask_about(make_study()))
        with pytest.raises(Unanswered) as caught:
            await teacher.ask(ask_about(make_study()))
        await teacher.ask(ask_about(make_study()))
        await teacher.close()
        return caught.value

    no = asyncio.run(scenario())
    assert (no.throttled, no.retry_after, no.sent) == (True, 89.0, True)


def test_a_pool_that_throttles_as_a_whole_says_how_long(three: list[TeacherServer]) -> None:
    async def scenario() -> list[Unanswered]:
        teacher = pool_of(three)
        await ask_some(teacher, 3)
        for server in three:
            server.fail("429_slow")
        found = []
        for _ in range(4):
            with pytest.raises(Unanswered) as caught:
                await teacher.ask(ask_about(make_study()))
            found.append(caught.value)
        await teacher.close()
        return found

    *first, third, fourth = asyncio.run(scenario())
    assert [no.throttled for no in first] == [False, False] and third.throttled
    # a cooldown is a minute at most, and nothing is sent meanwhile
    assert fourth.throttled and not fourth.sent and fourth.retryable and 50 < (fourth.retry_after or 0) <= 60


def test_a_success_ends_the_doubling_of_cooldowns() -> None:
    async def scenario() -> tuple[list[int], int]:
        pool = Pool([object(), object()], 1)  # type: ignore[list-item]  # it never looks at them
        server, other = pool.servers
        grown = []
        for _ in range(12):
            server.until = 0.0
            taken = await pool.take([other])
            assert taken is server
            pool.give(server, Unanswered(State.FAILED, "x"))
            grown.append(server.failures)
        assert await pool.take([other]) is None  # left alone
        server.until = 0.0
        assert await pool.take([other]) is server
        pool.give(server)
        return grown, server.failures

    grown, after = asyncio.run(scenario())
    assert grown == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]
    assert after == 0


def test_further_servers_may_join_without_asking_anything_again(three: list[TeacherServer]) -> None:
    question = ask_about(make_study())
    assert request_key(pool_of(three[:1]), question) == request_key(pool_of(three), question)
    assert request_key(pool_of(three[:1]), question) != request_key(pool_of(three[1:]), question)


@pytest.mark.parametrize("option", [{"base_urls": []}, {"base_urls": ["http://a", "http://a"]}, {"extra": {"n": 2}}])
def test_an_option_that_makes_no_sense_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises((RecipeError, ValidationError)):
        load(TeacherSpec(kind="local", options={"model": "m"} | option))


def test_every_parameter_changes_the_key(server: TeacherServer) -> None:
    question = ask_about(make_study())
    changes: list[dict[str, Any]] = [
        {}, {"model": "n"}, {"server": "ollama"}, {"max_tokens": 99}, {"temperature": 0.5}, {"seed": 1},
        {"constrained": False}, {"extra": {"top_k": 3}}, {"max_side": 512}, {"images": False},
    ]  # fmt: skip
    keys = {request_key(teacher_for("local", server, change), question) for change in changes}
    assert len(keys) == len(changes)


def test_a_server_that_throttles_its_trial_is_not_taken_for_dead(server: TeacherServer) -> None:
    async def scenario() -> list[Unanswered]:
        teacher = teacher_for("local", server)
        server.fail("429_slow", "503")
        found = []
        for name in ("a", "b"):
            with pytest.raises(Unanswered) as caught:
                await teacher.ask(ask_about(make_study(name)))
            found.append(caught.value)
        await teacher.close()
        return found

    first, second = asyncio.run(scenario())
    assert first.retryable and first.throttled and second.retryable
    assert len(server.seen) == 2
