"""Answers as servers of many makers send them: each is read for what it is, and none is lost or paid for twice."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.replies import STEPS, numbered, steps_json
from tenstep.curation.clients.answers import read_chat, read_messages, read_responses
from tenstep.curation.clients.endpoint import Endpoint
from tenstep.curation.clients.envelope import Envelope, error_inside, failure, seal, unseal
from tenstep.curation.clients.unwrap import unwrap
from tenstep.curation.prompt import Prompts
from tenstep.curation.teacher import Denied, Reply, Unanswered
from tenstep.schemas.candidate import Candidate, Usage
from tenstep.schemas.errors import TeacherError
from tenstep.schemas.layout import parse
from tenstep.schemas.run import State
from tenstep.schemas.study import Study
from tenstep.validators.gate import judge
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import REFERENCE, ten


def envelope(body: object, status: int = 200) -> Envelope:
    return Envelope(status, {}, json.dumps(body).encode())


def chat(message: dict[str, Any], reason: object = "stop", **more: Any) -> Reply:
    body = {"choices": [{"index": 0, "message": message, "finish_reason": reason}], **more}
    return read_chat(envelope(body))


# What stands in a message besides plain text, and the thinking that is in it.
MESSAGES: dict[str, tuple[dict[str, Any], str | None]] = {
    "vLLM with a reasoning parser": ({"content": "x", "reasoning_content": "so"}, "so"),
    "newer vLLM and OpenRouter": ({"content": "x", "reasoning": "so", "reasoning_content": None}, "so"),
    "Ollama": ({"content": "x", "thinking": "so"}, "so"),
    "OpenRouter's details": (
        {
            "content": "x",
            "reasoning_details": [
                {"type": "reasoning.summary", "summary": "so"}, {"type": "reasoning.encrypted", "data": "AAAA"},
            ],
        },
        "so",
    ),
    "Mistral's parts": (
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "s"}, {"type": "text", "text": "o"}]},
                {"type": "text", "text": "x"},
            ]
        },
        "so",
    ),
    "parts of text in pieces": ({"content": [{"type": "text", "text": "x"}, {"type": "text", "text": ""}]}, None),
    "parts that are strings": ({"content": ["x"]}, None),
    "one part": ({"content": {"type": "output_text", "text": "x"}}, None),
    "parts with a thought of one text": (
        {"content": [{"type": "reasoning", "text": "so"}, {"type": "text", "text": "x"}]}, "so",
    ),
    "text whose value is an object": ({"content": [{"type": "text", "text": {"value": "x"}}]}, None),
    "Kimi in the content": ({"content": "◁think▷so◁/think▷x"}, "so"),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_of_any_server_is_text_and_thinking(name: str) -> None:
    message, thinking = MESSAGES[name]
    reply = chat(message)
    assert (reply.text, reply.reasoning) == ("x", thinking)


def test_a_part_that_declines_is_a_refusal() -> None:
    with pytest.raises(Unanswered) as caught:
        chat({"content": [{"type": "refusal", "refusal": "no"}]})
    assert caught.value.state is State.REFUSED


WHOLE = ("stop", "STOP", "FINISH_REASON_STOP", "eos_token", "eos", "EOS", "stop_sequence", "end_turn", "COMPLETE",
         "completed", "finished", "stop_token", "<|im_end|>", "<|endoftext|>")  # fmt: skip
PARTIAL = ("length", "MAX_TOKENS", "max_length", "model_length", "token_limit", "tool_calls", "function_call",
           "abort", "cancelled", "incomplete", "insufficient_system_resource", "suspended", "", None, 7)  # fmt: skip
FILTERS = ("content_filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "guardrail_intervened")


@pytest.mark.parametrize("reason", WHOLE)
def test_an_answer_that_ended_by_itself_is_whole(reason: str) -> None:
    assert accepted(chat({"content": steps_json()}, reason))


@pytest.mark.parametrize("reason", PARTIAL)
def test_an_answer_that_did_not_is_never_accepted(reason: object) -> None:
    assert not accepted(chat({"content": steps_json()}, reason))


@pytest.mark.parametrize("reason", FILTERS)
def test_a_filter_is_a_refusal(reason: str) -> None:
    with pytest.raises(Unanswered) as caught:
        chat({"content": ""}, reason, usage={"prompt_tokens": 3, "completion_tokens": 0})
    assert caught.value.state is State.REFUSED and caught.value.usage == Usage(input_tokens=3, output_tokens=0)


def accepted(reply: Reply) -> bool:
    study = Study(id="t/1", patient_id="1", source="t", data_class="public", report=REFERENCE, report_form="verbatim")
    candidate = read_candidate(reply.text, study.id, writes_report=False, stop_reason=reply.stop_reason)
    return not any(f.rule in ("completion", "structure", "wrapping") for f in judge(study, candidate).findings)


# --- errors in an answer that says 200 ---

INSIDE: dict[str, tuple[object, State, bool, bool]] = {  # state, retryable, throttled
    "OpenRouter": ({"error": {"code": 429, "message": "Provider returned error"}}, State.FAILED, True, True),
    "OpenRouter, a choice": (
        {"choices": [{"finish_reason": "error", "message": {"content": ""}, "error": {"code": 502, "message": "x"}}]},
        State.FAILED, True, False,
    ),
    "a choice without a word": ({"choices": [{"finish_reason": "error", "message": {}}]}, State.FAILED, True, False),
    "a code that is text": ({"error": {"code": "503", "message": "x"}}, State.FAILED, True, True),
    "FastChat": ({"object": "error", "message": "overloaded", "code": 50301}, State.FAILED, True, True),
    "vLLM": ({"object": "error", "type": "BadRequestError", "message": "x", "code": 400}, State.FAILED, False, False),
    "Mistral": (
        {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited", "code": "1300"},
        State.FAILED, True, True,
    ),
    "Ollama": ({"error": "server busy, please try again"}, State.FAILED, True, True),
    "TGI": ({"error": "Model is overloaded", "error_type": "overloaded"}, State.FAILED, True, True),
    "Anthropic": ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, State.FAILED, True, True),
    "Azure's gateway": ({"statusCode": 429, "message": "Rate limit is exceeded."}, State.FAILED, True, True),
    "Google": (
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x"}}, State.FAILED, True, True,
    ),
    "Google, in a list": (
        [{"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}], State.FAILED, True, True,
    ),
    "a list with a request that is not taken": ([{"error": {"code": 400, "message": "x"}}], State.FAILED, False, False),
    "no word of what it is": ({"error": {"message": "oops"}}, State.FAILED, True, False),
    "a filter": (
        {"error": {"code": 403, "message": "x", "metadata": {"reasons": ["violence"]}}}, State.REFUSED, False, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_an_error_inside_an_answer_is_classed_by_its_code(name: str) -> None:
    body, state, retryable, throttled = INSIDE[name]
    raw = seal(200, (), json.dumps(body).encode())
    error = error_inside(raw)
    if name != "Azure's gateway":  # has no mark that every answer could be searched for; `read` finds it
        assert error is not None
        no = failure(error, "the server", None, raw)
        assert isinstance(no, Unanswered)
        assert (no.state, no.retryable, no.throttled, no.raw) == (state, retryable, throttled, raw)
    with pytest.raises(Unanswered) as caught:
        read_chat(envelope(body))
    assert (caught.value.state, caught.value.retryable, caught.value.throttled) == (state, retryable, throttled)


@pytest.mark.parametrize("body", [[], [1], [[{"error": {"code": 429}}]], [{"error": {"code": 429}}, {}]])
def test_a_list_that_is_no_error_is_no_answer_either(body: object) -> None:
    with pytest.raises(Unanswered) as caught:
        read_chat(envelope(body))
    assert caught.value.state is State.UNKNOWN


def test_a_response_that_failed_is_asked_again() -> None:
    body = {"object": "response", "status": "failed", "output": [], "error": {"code": "rate_limit_exceeded"}}
    with pytest.raises(Unanswered) as caught:
        read_responses(envelope(body))
    assert (caught.value.state, caught.value.retryable) == (State.FAILED, True)


@pytest.mark.parametrize("text", ['"error": {"code": 429}', '{"object": "error"}', 'an "error" : 3'])
def test_an_answer_that_speaks_of_errors_is_an_answer(text: str) -> None:
    body = {"error": None, "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    assert error_inside(seal(200, (), json.dumps(body).encode())) is None
    assert read_chat(envelope(body)).text == text


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["error", "code", "message", "choices", "finish_reason", "content", "type", "object", "status",
                         "statusCode", "text", "metadata", "innererror", "output", "usage", "stop_reason"]),
        inner, max_size=4,
    ),
).map(lambda body: json.dumps(body).encode()))  # fmt: skip
def test_no_body_whatsoever_is_anything_but_an_answer_or_unanswered(body: bytes) -> None:
    raw = seal(200, (), body)
    if (error := error_inside(raw)) is not None:
        assert isinstance(failure(error, "x", None, raw), Unanswered | TeacherError)
    for status in (200, 400, 403, 429, 500):
        assert isinstance(failure(Envelope(status, {}, body), "x", None), Unanswered | TeacherError)
    for read in (read_chat, read_responses, read_messages):
        with contextlib.suppress(Unanswered):
            assert isinstance(read(Envelope(200, {}, body)), Reply)


# --- failures ---


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "content_filter", "message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}),
        (400, {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}),
        (400, {"code": "invalid_request_error", "message": "Content Exists Risk"}),
        (403, {"code": 403, "message": "x", "metadata": {"reasons": ["self-harm"], "flagged_input": "..."}}),
        (400, {"code": "content_policy_violation", "message": "x"}),
        (451, {}),
    ],
)  # fmt: skip
def test_a_filter_in_front_of_the_model_turns_one_question_down(status: int, error: dict[str, Any]) -> None:
    no = failure(envelope({"error": error}, status), "x", None)
    assert isinstance(no, Unanswered) and no.state is State.REFUSED


def test_what_a_server_says_is_never_quoted() -> None:
    words = "Patient Doe has a mass"
    bodies: list[dict[str, Any]] = [{"error": dict.fromkeys(("message", "code", "type"), words)}]
    for status in (400, 401, 402, 403, 404, 422, 429, 500, 503, 504, 307):
        for body in (*bodies, {"error": words}, {"detail": [words]}):
            no = failure(envelope(body, status), "https://a.example", "KEY")
            said = [str(no), repr(no), no.reason if isinstance(no, Unanswered) else no.message]
            if isinstance(no, Denied):
                said += [no.alone.reason]
            assert not any("Doe" in text for text in said)


def test_a_denied_request_knows_what_it_is_alone() -> None:
    no = failure(envelope({"error": {"message": "forbidden"}}, 403), "x", "KEY")
    assert isinstance(no, Denied) and "KEY" in no.message
    assert (no.alone.state, no.alone.retryable) == (State.FAILED, False)


@pytest.mark.parametrize(
    "url", ["https://user:secret@a.example/v1", "https://user@a.example", "https://a.example/v1?k=s", "http://["]
)
def test_an_address_with_a_user_or_a_query_is_no_endpoint(url: str) -> None:
    from tenstep.schemas.errors import RecipeError

    with pytest.raises(RecipeError) as caught:
        Endpoint("openai", url, key_env="KEY", seconds=1)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "tokens"), [(7, 7), (7.0, 7), (7.5, None), (-1, None), (math.inf, None), (math.nan, None), ("7", None)]
)
def test_a_count_of_tokens_is_a_whole_number_or_unknown(count: object, tokens: int | None) -> None:
    choice = {"finish_reason": "stop", "message": {"content": ten()}}
    body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": count, "completion_tokens": 1}})
    usage = read_chat(unseal(seal(200, [], body.encode()))).usage
    assert (usage.input_tokens, usage.output_tokens) == (tokens, 1)


# --- wrappings ---

OBJECT = steps_json()
WRAPPED = {
    "fence": (f"```json\n{OBJECT}\n```", OBJECT, ""),
    "fence without a language": (f"\n```\n{OBJECT}\n```\n", OBJECT, ""),
    "fence of tildes": (f"~~~ json\r\n{OBJECT}\r\n~~~", OBJECT, ""),
    "a longer fence": (f"````json\n{OBJECT}\n````", OBJECT, ""),
    "steps in a fence": (f"```text\n{numbered()}\n```", numbered(), ""),
    "thinking": (f"<think>\nso\n</think>\n\n{OBJECT}", OBJECT, "so"),
    "empty thinking": (f"<think>\n\n</think>\n{OBJECT}", OBJECT, ""),
    "thinking, then a fence": (f"<think>1. so</think>\n```json\n{OBJECT}\n```", OBJECT, "1. so"),
    "two blocks": (f"<thinking>a</thinking><reflection>b</reflection>\n{OBJECT}", OBJECT, "a\n\nb"),
    "a bare end": (f"so\n</think>\n\n{numbered()}", numbered(), "so"),
    "a bare end before a tag": ("so</think><<REASONING_10_STEPS>>\n1. x", "<<REASONING_10_STEPS>>\n1. x", "so"),
    "an answer in tags": (f"<think>so</think><answer>{OBJECT}</answer>", OBJECT, "so"),
    "Magistral": (f"[THINK]so[/THINK]{OBJECT}", OBJECT, "so"),
    "Harmony": (
        f"<|channel|>analysis<|message|>so<|end|><|start|>assistant<|channel|>final<|message|>{OBJECT}<|return|>",
        OBJECT, "so",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_what_a_server_puts_around_an_answer_comes_off(name: str) -> None:
    text, answer, thinking = WRAPPED[name]
    assert unwrap(text) == (answer, thinking)


@pytest.mark.parametrize(
    "text",
    [
        OBJECT, numbered(), f"Sure:\n```json\n{OBJECT}\n```", f"```json\n{OBJECT}", f"{OBJECT}\n```", "```", "``````",
        "1. The </think> tag\n2. is quoted.", "<think>never ended", "a\n```\nb\n```\nc", "```\na\n```\nb\n```", "",
        "Ten steps </think> follow in prose.",
    ],
)  # fmt: skip
def test_anything_else_stays_as_it_is(text: str) -> None:
    assert unwrap(text) == (text, "")


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "```", "```json\n", "\n", " ", "1. a", "{", "[/THINK]"]), max_size=12
    )
)
def test_unwrapping_never_fails_and_loses_no_word(parts: list[str]) -> None:
    text = "".join(parts)
    found = unwrap(text)
    assert (found.text + found.thinking).count("1. a") == text.count("1. a")
    assert unwrap("<think>so</think>" + found.text).thinking.startswith("so")


def test_unwrapping_takes_linear_time() -> None:
    import time

    for text in ("<think></think>" * 60_000, " " * 1_000_000, "```\n" + " " * 900_000, "</think> " * 100_000):
        since = time.process_time()
        unwrap(text)
        assert time.process_time() - since < 2


# --- repair ---


def repair_of(text: str) -> str:
    study = Study(id="t/1", patient_id="1", source="t", data_class="public", report=REFERENCE, report_form="verbatim")
    candidate: Candidate = read_candidate(text, study.id, writes_report=False)
    verdict = judge(study, candidate)
    assert not verdict.accepted
    user = Prompts("informed").fill(study, candidate, verdict.findings).user
    asked: str = json.dumps(json.loads(user[user.rindex('{\n "earlier_answer"') :])["to_change"])
    return asked


@pytest.mark.parametrize(
    "text",
    [
        "Sure!\n" + ten(report=None), "The lungs are clear.", f"Here it is:\n```json\n{OBJECT}\n```",
        ten(report=None).replace(". ", ") "), "\n".join(f"**Step {n}** {text}" for n, text in enumerate(STEPS, 1)),
    ],
)  # fmt: skip
def test_a_repair_speaks_of_the_form_that_the_prompt_asked_for(text: str) -> None:
    asked = repair_of(text)
    assert "one JSON object" in asked and "step_10" in asked
    assert not any(words in asked for words in ("numbered", "own line", "'1. '", "begin with", "plain text"))


def test_a_repair_still_says_how_many_steps_an_object_lacks() -> None:
    nine = json.loads(OBJECT)
    del nine["step_10"]
    asked = repair_of(json.dumps(nine))
    assert "9 steps, 1 too few" in asked and "one JSON object" not in asked


def test_parse_reads_what_was_unwrapped(tmp_path: Path) -> None:
    for text, _, _ in WRAPPED.values():
        assert parse(unwrap(text).text).steps
