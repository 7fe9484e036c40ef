"""Answers: what a provider's bytes say: text, thinking, tokens, and why the author stopped.

An answer that is not the provider's own object (HTML, `{}`, half of one, the wrong type) is `unknown`: something
was received, nobody can tell what, and it may have been paid for. An author that declined is `refused`, and what
that cost is kept. Anything else is a Reply, however bad: rules judge. Whatever ends otherwise than finished has a
stop reason that the gate rejects.
"""

import json
from collections.abc import Iterator
from typing import Any

from ...schemas.candidate import Usage
from ...schemas.run import State
from ..teacher import Reply, Unanswered
from .envelope import Envelope

CUT = "incomplete"  # the gate's name for an answer that was not finished, whatever the provider calls it
_FINISHED = frozenset({"stop", "end_turn", "completed"})
_CUT = {"length": "length", "max_tokens": "max_tokens", "max_output_tokens": "max_output_tokens"}
_CUT |= {"model_context_window_exceeded": "max_tokens"}


def read_chat(answer: Envelope) -> Reply:
    """OpenAI chat completions, of whatever server.

    Raises:
        Unanswered: refused, or not a chat completion.
    """
    found = _object(answer)
    match found:
        case {"id": str(), "choices": [{"message": dict(message)} as choice, *_]}:
            usage = _openai_usage(found.get("usage"), "prompt_tokens", "completion_tokens")
        case _:
            raise _unreadable("no chat completion")
    reason = choice.get("finish_reason")
    if message.get("refusal") or reason == "content_filter":
        raise _refused("content_filter" if reason == "content_filter" else "refusal", usage)
    thinking = message.get("reasoning_content") or message.get("reasoning")
    text = message.get("content") or ""
    if not isinstance(text, str):
        raise _unreadable("content that is no text")
    return _reply(answer, text, [thinking] if isinstance(thinking, str) else [], usage, reason)


def read_responses(answer: Envelope) -> Reply:
    """OpenAI Responses.

    Raises:
        Unanswered: refused, or not a response that ended.
    """
    found = _object(answer)
    match found:
        case {"id": str(), "object": "response", "status": "completed" | "incomplete" as status, "output": list(items)}:
            usage = _openai_usage(found.get("usage"), "input_tokens", "output_tokens")
        case {"object": "response", "status": str(status)}:
            raise _unreadable(f"a response with status {status[:20]!r}")
        case _:
            raise _unreadable("no response")
    details = found.get("incomplete_details")
    reason = status if status == "completed" else (details or {}).get("reason") if isinstance(details, dict) else None
    parts = [part for item in _dicts(items) if item.get("type") == "message" for part in _dicts(item.get("content"))]
    if reason == "content_filter" or any(part.get("type") == "refusal" for part in parts):
        raise _refused("content_filter" if reason == "content_filter" else "refusal", usage)
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
        case {"id": str(), "type": "message", "role": "assistant", "content": list(content)}:
            usage = _anthropic_usage(found.get("usage"))
        case _:
            raise _unreadable("no message")
    reason = found.get("stop_reason")
    if reason == "refusal":
        details = found.get("stop_details")
        category = details.get("category") if isinstance(details, dict) else None
        raise _refused(category if isinstance(category, str) and category.isidentifier() else "refusal", usage)
    blocks = list(_dicts(content))
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    thinking = [str(block.get("thinking", "")) for block in blocks if block.get("type") == "thinking"]
    return _reply(answer, text, thinking, usage, reason)


def _reply(answer: Envelope, text: str, thinking: list[str], usage: Usage, reason: object) -> Reply:
    text, plan = without_plan(text)
    reasoning = "\n\n".join(part for part in (*thinking, plan) if part)
    stop = reason if isinstance(reason, str) and reason in _FINISHED else _CUT.get(str(reason), CUT)
    return Reply(text=text, usage=usage, stop_reason=stop, reasoning=reasoning or None, batched=answer.batched)


def without_plan(text: str) -> tuple[str, str]:
    """The answer without the plan that the prompt `skeleton` asks for, and the plan: thinking aloud is not a step."""
    if '"plan"' not in text or not text.lstrip().startswith("{"):
        return text, ""
    try:
        found = json.loads(text, strict=False, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return text, ""
    if not isinstance(found.get("plan"), str):
        return text, ""
    plan = found.pop("plan")
    return json.dumps(found, ensure_ascii=False), plan


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(values := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return values


def _object(answer: Envelope) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise _unreadable(f"{len(answer.body)} bytes that are not JSON") from None
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
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _unreadable(what: str) -> Unanswered:
    return Unanswered(State.UNKNOWN, f"the server sent {what}; it may have been paid for")


def _refused(why: str, usage: Usage) -> Unanswered:
    return Unanswered(State.REFUSED, f"the author declined ({why})", usage=usage)
