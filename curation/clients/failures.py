"""Failures: what a server's "no" means: wait and try again, give up this one, or stop the run.

Errors are known by their status, or by their code where a gateway sends them with status 200 (`error_inside`).
Nothing of a server's message is quoted, since it may quote what was sent: class, status, code and request id only.
"""

import json
import re
from dataclasses import replace
from typing import Any

from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..teacher import Denied, Unanswered
from .envelope import Envelope, seal, unseal

_CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_AGAIN = frozenset({408, 409, 424, 425, 429, 529})
_THROTTLED = frozenset({429, 503, 529})
_MAYBE_PAID = frozenset({499, 504, 524})  # a proxy lost patience; the model may have written to the end
_QUOTA = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached", "credit_balance_too_low"})
_PARAMETER = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "invalid_parameter"})
_FIELD = re.compile(r"(max_tokens|thinking|temperature|effort|metadata)\b")  # Anthropic's messages open with it
_SCHEMA = re.compile(r"schema|response_format|output_config|structured_output|guided|grammar", re.I)
# Azure, Anthropic, OpenRouter, DeepSeek: a filter before or behind the model turned this one question down
_FILTER = re.compile(r"content_?(?:filter|policy)|responsible_?ai|moderation", re.I)
_FILTERED = re.compile(r"content (?:filter|management|policy)|content exists risk|requires moderation", re.I)
_MAY_HOLD_ERROR = re.compile(
    rb'"error"\s*:\s*(?!null\b|\s)|"(?:object|type)"\s*:\s*"error"|"finish_reason"\s*:\s*"error"'
)
# The status that an error without one would have had, by its code, type or, failing these, its message.
_STATUS = (
    (429, re.compile(r"rate.?limit|too.?many|resource.?exhausted|throttl", re.I)),
    (503, re.compile(r"overload|unavailable|busy|capacity|loading|try again", re.I)),
    (504, re.compile(r"time.?out|deadline", re.I)),
    (401, re.compile(r"api.?key|authenticat|unauthori[sz]ed", re.I)),
    (403, re.compile(r"permission|forbidden|access.?denied", re.I)),
    (404, re.compile(r"not.?found|does not exist", re.I)),
    (400, re.compile(r"invalid|bad.?request|validation|unsupported|too.?(?:large|long)|context.?length", re.I)),
)


def failure(answer: Envelope, who: str, key_env: str | None, raw: bytes | None = None) -> Unanswered | TeacherError:
    """The exception for an answer whose status is not 2xx.

    Args:
        answer: what came.
        who: the endpoint, as a user knows it.
        key_env: the variable that holds its key.
        raw: what is kept of it; the answer itself if not given.

    Returns:
        Denied, a TeacherError, where the same status is about one request only if others have been answered.
    """
    error = _error(answer.body)
    kind, code, message = _names(error)
    status = answer.status
    fact = " ".join(filter(None, (str(status), (code if code and not code.isdigit() else None) or kind)))
    what = f"{who} answered {fact}" + (f" (request {answer.request_id})" if answer.request_id else "")
    raw = raw or seal(status, answer.headers.items(), answer.body)
    alone = Unanswered(State.FAILED, what, raw)
    held = f"the key in {key_env}" if key_env else "a request without a key"
    if status == 451 or (status in (400, 403, 422) and _was_filtered(error)):
        return Unanswered(State.REFUSED, f"{what}: its filter turned this question down", raw)
    if status == 401:
        return TeacherError(f"{what}: it does not let {held} in; check the key and what it may use")
    if status == 402 or {kind, code} & _QUOTA or (status in (400, 429) and "credit balance" in message.lower()):
        return TeacherError(f"{what}: its quota or credit is used up; top it up and run again to go on")
    if status == 403:
        return Denied(f"{what}: it does not let {held} in; check the key and what it may use", alone)
    if status == 404:
        return Denied(f"{what}: there is no such model or address; check model and base_url", alone)
    if 300 <= status < 400:
        advice = "it points elsewhere, and redirects are not followed; put the new address there"
        return TeacherError(f"{what}: {advice}")
    if status in (400, 422) and (_SCHEMA.search(message) or _SCHEMA.search(code or "")):
        advice = "it does not take the schema of the answer; try another api, server or model"
        return Denied(f"{what}: {advice}", alone)
    if status == 400 and (code in _PARAMETER or _FIELD.match(message)):
        return Denied(f"{what}: it does not take a parameter as it is; change the teacher's options", alone)
    if status in _MAYBE_PAID:
        return Unanswered(State.UNKNOWN, what, raw)
    return Unanswered(
        State.FAILED,
        what,
        raw,
        retryable=status in _AGAIN or status >= 500,
        retry_after=answer.retry_after,
        throttled=status in _THROTTLED,
    )


def error_inside(raw: bytes) -> Envelope | None:
    """The error that a sealed answer with status 200 holds, as if it had come with a status of its own; else none."""
    if not _MAY_HOLD_ERROR.search(raw):
        return None
    answer = unseal(raw)
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return error_in(found, answer) if isinstance(found, dict) else None


def error_in(found: dict[str, Any], answer: Envelope) -> Envelope | None:
    """The error in an answer's object.

    Gateways send errors of the servers behind them with status 200: {"error": {"code": 429, ...}}, {"object": "error",
    ...}, or a choice that holds an error in place of an answer; and a response may have failed.
    """
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if isinstance(choice.get("error"), dict) or choice.get("finish_reason") == "error":
        error: Any = choice.get("error") or {}
    elif found.get("error") or "error" in (found.get("object"), found.get("type")):
        error = found.get("error") or found
    elif "choices" not in found and isinstance(code := found.get("code", found.get("statusCode")), int) and code >= 400:
        error = found
    else:
        return None
    return replace(answer, status=_status(error), body=json.dumps({"error": error}).encode())


def _status(error: Any) -> int:
    """The status that an error names, or would have had."""
    kind, code, message = _names(error)
    for number in (code, str(error.get("status", "")) if isinstance(error, dict) else "", kind):
        if number and number.isdigit() and 400 <= int(number[:3]) < 600:
            return int(number[:3])
    for text in (f"{code or ''} {kind or ''}", message):
        for status, pattern in _STATUS:
            if pattern.search(text):
                return status
    return 500


def _error(body: bytes) -> Any:
    """What an error body says, in whichever form a provider or a server of one's own writes it."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, dict):
        return {}
    error = found.get("error") or found
    return found | {"message": error} if isinstance(error, str) else error


def _names(error: Any) -> tuple[str | None, str | None, str]:
    """Type, code and message of an error."""
    if not isinstance(error, dict):
        return None, None, str(error)
    kind, code = (
        next((text for key in keys if _CODE.fullmatch(text := str(error.get(key) or "").lower())), None)
        for keys in (("type", "error_type", "status"), ("code", "statusCode"))
    )
    return kind, code, str(error.get("message") or error.get("detail") or "")


def _was_filtered(error: Any) -> bool:
    """Whether an error names a filter: by its code, Azure's inner error, OpenRouter's reasons, or in so many words."""
    kind, code, message = _names(error)
    inner, metadata = (error.get(key) if isinstance(error, dict) else None for key in ("innererror", "metadata"))
    if isinstance(metadata, dict) and metadata.get("reasons"):
        return True
    codes = f"{kind} {code} {inner.get('code') if isinstance(inner, dict) else ''}"
    return bool(_FILTER.search(codes) or _FILTERED.search(message))
