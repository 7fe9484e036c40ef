"""Answers: what a provider's bytes say: text, thinking, tokens, and why the author stopped.

Servers of many makers answer in the same few forms, each with its own small differences; all that are known are read
here. An answer that is none (HTML, `{}`, half of one) is `unknown`: something was received that cannot be read, and
it may have been paid for. An error inside an answer is `failed`. An author that declined is `refused`, and what that
cost is kept. Anything else is a Reply, however bad: rules judge. Whatever ends otherwise than finished has a stop
reason that the gate rejects.

The SDKs' own types are not used for reading. Built as the SDKs build them, they check nothing (`{}` is a whole answer
of None) and take 0.3 to 0.8 ms for each answer, where this takes less than 0.1; validated, they refuse an answer that
was paid for as soon as a counter is new (`cache_write_tokens`) or a server of another maker leaves one out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...schemas.candidate import Usage
from ...schemas.errors import TeacherError
from ...schemas.layout import each_key_once
from ...schemas.run import State
from ..teacher import Reply, Unanswered
from .envelope import Envelope, error_in, failure
from .unwrap import unwrap

CUT = "incomplete"  # the gate's name for an answer that was not finished, whatever the provider calls it
_CUT = {"length": "length", "max_tokens": "max_tokens", "max_output_tokens": "max_output_tokens"}
_CUT |= {"model_context_window_exceeded": "max_tokens", "model_length": "length"}
# Words of a reason. `max_tokens` and `tool_use` are no good ends, whatever else they hold.
_NOT_WHOLE = frozenset({"length", "max", "limit", "window", "incomplete", "error", "tool", "tools", "function"})
_WHOLE = frozenset(
    {
        "stop",
        "stopped",
        "eos",
        "eot",
        "end",
        "ended",
        "endoftext",
        "complete",
        "completed",
        "finish",
        "finished",
        "done",
    }
)
_FILTERED = re.compile(r"content_?filter|safety|recitation|blocklist|prohibited|guardrail|\bspii\b")


def read_chat(answer: Envelope) -> Reply:
    """OpenAI chat completions, of whatever server.

    Raises:
        Unanswered: refused, failed, or not a chat completion.
    """
    found = _object(answer)
    match found:
        case {"choices": [{"message": dict(message)} as choice, *_]}:
            usage = _openai_usage(found.get("usage"), "prompt_tokens", "completion_tokens")
        case _:
            raise _unreadable("no chat completion")
    text, thinking, refused = _content(message.get("content"))
    reason = _word(choice.get("finish_reason"))
    if message.get("refusal") or refused or _FILTERED.search(reason):
        raise _refused("content_filter" if _FILTERED.search(reason) else "refusal", usage)
    # vLLM, DeepSeek: reasoning_content; OpenRouter, newer vLLM: reasoning; Ollama: thinking
    for name in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(said := message.get(name), str) and said:
            thinking.append(said)
            break
    else:
        thinking += [said for part in _dicts(message.get("reasoning_details")) if (said := _said(part))]
    return _reply(answer, text, thinking, usage, reason)


def chat_text(answer: Envelope) -> str:
    """The text of an answer that `read_chat` reads, as it came: nothing is taken off.

    Raises:
        Unanswered: as `read_chat`.
    """
    match _object(answer):
        case {"choices": [{"message": dict(message)}, *_]}:
            return _content(message.get("content"))[0]
        case _:
            raise _unreadable("no chat completion")


def _content(content: object) -> tuple[str, list[str], bool]:
    """Text, thinking, and whether the author declined, of a content that is text or a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", [], False
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise _unreadable("content that is no text")
    text, thinking, refused = [], [], False
    for part in content:
        kind = _word(part.get("type", "text")) if isinstance(part, dict) else "text"
        if isinstance(part, str):
            text.append(part)
        elif not isinstance(part, dict):
            raise _unreadable("content that is no text")
        elif "think" in kind or "reason" in kind:
            thinking.append(_said(part))
        elif kind == "refusal":
            refused = True
        elif "text" in kind:
            text.append(_said(part))
    return "".join(text), thinking, refused


def _said(part: Mapping[str, Any]) -> str:
    """The words of one part: text, a summary, or a list of such parts (Mistral's thinking)."""
    for name in ("text", "thinking", "reasoning", "summary", "content", "value"):
        match part.get(name):
            case str(words):
                return words
            case list(parts):
                return "".join(
                    one if isinstance(one, str) else _said(one) for one in parts if isinstance(one, str | dict)
                )
            case dict(inner):
                return _said(inner)
    return ""


def read_responses(answer: Envelope) -> Reply:
    """OpenAI Responses.

    Raises:
        Unanswered: refused, or not a response that ended.
    """
    found = _object(answer)
    usage = _openai_usage(found.get("usage"), "input_tokens", "output_tokens")
    match found:
        case {"status": "completed" | "incomplete" as status, "output": list(items)}:
            pass
        case {"object": "response", "status": str(status)}:
            raise _unreadable(f"a response with status {status[:20]!r}")
        case _:
            raise _unreadable("no response")
    details = found.get("incomplete_details")
    reason = status if status == "completed" else (details or {}).get("reason") if isinstance(details, dict) else None
    parts = [part for item in _dicts(items) if item.get("type") == "message" for part in _dicts(item.get("content"))]
    reason = _word(reason)
    if _FILTERED.search(reason) or any(part.get("type") == "refusal" for part in parts):
        raise _refused("content_filter" if _FILTERED.search(reason) else "refusal", usage)
    text = "".join(str(part.get("text", "")) for part in parts if part.get("type") == "output_text")
    thinking = [
        str(part.get("text", ""))
        for item in _dicts(items)
        if item.get("type") == "reasoning"
        for part in (*_dicts(item.get("summary")), *_dicts(item.get("content")))
    ]
    return _reply(answer, text, thinking, usage, reason)


def read_messages(answer: Envelope) -> Reply:
    """Anthropic Messages.

    Raises:
        Unanswered: refused, or not a message.
    """
    found = _object(answer)
    match found:
        case {"type": "message", "role": "assistant", "content": list(content)}:
            usage = _anthropic_usage(found.get("usage"))
        case _:
            raise _unreadable("no message")
    reason = _word(found.get("stop_reason"))
    if reason == "refusal":
        details = found.get("stop_details")
        category = details.get("category") if isinstance(details, dict) else None
        raise _refused(category if isinstance(category, str) and category.isidentifier() else "refusal", usage)
    blocks = list(_dicts(content))
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    thinking = [str(block.get("thinking", "")) for block in blocks if block.get("type") == "thinking"]
    return _reply(answer, text, thinking, usage, reason)


def _word(reason: object) -> str:
    """Why it ended, in one spelling: `STOP`, `FINISH_REASON_STOP` and `stop` are one; empty if it does not say."""
    return reason.strip().lower().removeprefix("finish_reason_") if isinstance(reason, str) else ""


def _reply(answer: Envelope, text: str, thinking: list[str], usage: Usage, reason: str) -> Reply:
    text, aloud = unwrap(text)
    text, plan = without_plan(text)
    reasoning = "\n\n".join(part for part in (*thinking, aloud, plan) if part)
    words = set(re.split(r"[^a-z]+", reason))
    stop = reason if words & _WHOLE and not words & _NOT_WHOLE else _CUT.get(reason, CUT)
    return Reply(text=text, usage=usage, stop_reason=stop, reasoning=reasoning or None, batched=answer.batched)


def without_plan(text: str) -> tuple[str, str]:
    """The answer without the plan that the prompt `skeleton` asks for, and the plan: thinking aloud is not a step."""
    if '"plan"' not in text or not text.lstrip().startswith("{"):
        return text, ""
    try:
        found = json.loads(text, strict=False, object_pairs_hook=each_key_once)
    except (ValueError, RecursionError):
        return text, ""
    if not isinstance(found.get("plan"), str):
        return text, ""
    plan = found.pop("plan")
    return json.dumps(found, ensure_ascii=False), plan


def _object(answer: Envelope) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise _unreadable(f"{len(answer.body)} bytes that are not JSON") from None
    if (error := error_in(found, answer)) is not None:  # an answer of a batch, or kept by an earlier version
        no = failure(error, "the server", None)
        raise Unanswered(State.FAILED, no.message) if isinstance(no, TeacherError) else no
    if not isinstance(found, dict):
        raise _unreadable("JSON that is no object")
    return found


def _dicts(items: object) -> Iterator[dict[str, Any]]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _openai_usage(usage: object, into: str, out: str) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    single = into.removesuffix("_tokens"), out.removesuffix("_tokens")
    details_in, details_out = (usage.get(f"{name}_tokens_details") or {} for name in single)
    return Usage(
        input_tokens=_count(usage, into),
        output_tokens=_count(usage, out),
        reasoning_tokens=_count(details_out, "reasoning_tokens"),
        cached_tokens=_count(details_in, "cached_tokens"),
    )


def _anthropic_usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    parts = [_count(usage, n) for n in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")]
    details = usage.get("output_tokens_details") or {}
    return Usage(
        input_tokens=None if parts[0] is None else sum(part or 0 for part in parts),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(details, "thinking_tokens"),
        cached_tokens=parts[1],
    )


def _count(usage: object, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(value, float) and value.is_integer():  # servers whose JSON knows no whole numbers
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _unreadable(what: str) -> Unanswered:
    return Unanswered(State.UNKNOWN, f"the server sent {what}; it may have been paid for")


def _refused(why: str, usage: Usage) -> Unanswered:
    return Unanswered(State.REFUSED, f"the author declined ({why})", usage=usage)
