"""Envelopes: an answer as it came, for the journal; and what a server's "no" means: try again, give up, or stop.

An envelope is one line of JSON (status, some headers), then the body. What an answer says is for `answers.py`.

Errors are known by their status, or by their code where a gateway sends them with status 200 (`error_inside`).
Nothing of a server's message is quoted, since it may quote what was sent: class, status, code and request id only.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ...schemas.errors import InputError, TeacherError
from ...schemas.run import State
from ..teacher import Denied, Unanswered

_KEPT = re.compile(
    r"content-type|date|(?:x-)?request-id|retry-after(?:-ms)?|x-should-retry|openai-processing-ms|openai-version"
    r"|(?:x|anthropic)-ratelimit-[a-z-]+"
)

_LEFT = re.compile(r"x-ratelimit-remaining-([a-z-]+)|anthropic-ratelimit-([a-z-]+)-remaining")
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

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


@dataclass(frozen=True, slots=True)
class Envelope:
    """One answer of a server."""

    status: int
    headers: Mapping[str, str]  # names in lower case; only those that are kept
    body: bytes
    batched: bool = False

    @property
    def request_id(self) -> str | None:
        """The provider's name for the request."""
        return self.headers.get("x-request-id") or self.headers.get("request-id")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, as the server says (Retry-After); none if it does not, or says nothing sensible."""
        milliseconds = _number(self.headers.get("retry-after-ms"))
        if milliseconds is not None:
            return milliseconds / 1000
        value = self.headers.get("retry-after")
        seconds = _number(value)
        if seconds is not None or not value:
            return seconds
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - time.time())

    def exhausted_for(self, now: float) -> float | None:
        """Seconds until something is left again of a rate limit that is used up; none if nothing is, or it is not said.

        OpenAI: `x-ratelimit-remaining-requests: 0`, `x-ratelimit-reset-requests: 6m0s`, the same for tokens. Anthropic:
        `anthropic-ratelimit-requests-remaining: 0`, `anthropic-ratelimit-requests-reset: 2026-11-24T12:00:30Z`, the
        same for tokens, input-tokens and output-tokens.

        Args:
            now: seconds since the epoch.
        """
        waits = []
        for name, value in self.headers.items():
            match = _LEFT.fullmatch(name)
            if match is None or value.strip() != "0":
                continue
            reset = f"x-ratelimit-reset-{match[1]}" if match[1] else f"anthropic-ratelimit-{match[2]}-reset"
            if (seconds := _until(self.headers.get(reset, ""), now)) is not None:
                waits.append(seconds)
        return max(waits, default=None)


def seal(status: int, headers: Iterable[tuple[str, str]], body: bytes, *, batched: bool = False) -> bytes:
    """Pack an answer."""
    kept = {name.lower(): value for name, value in headers if _KEPT.fullmatch(name.lower())}
    head: dict[str, object] = {"status": status, "headers": kept}
    if batched:
        head["batched"] = True
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + body


def unseal(raw: bytes) -> Envelope:
    """Unpack an answer.

    Raises:
        InputError: these bytes were not packed by `seal`.
    """
    line, _, body = raw.partition(b"\n")
    try:
        head = json.loads(line)
        return Envelope(head["status"], head["headers"], body, head.get("batched", False))
    except (ValueError, KeyError, TypeError):
        raise InputError("these bytes are no answer of a server, as this teacher keeps them") from None


def _number(value: str | None) -> float | None:
    """A finite number that is not negative."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _until(value: str, now: float) -> float | None:
    """Seconds until a rate limit's reset, which is a span (6m0s) or a date."""
    parts = _SPAN.findall(value)
    if parts and "".join(number + unit for number, unit in parts) == value.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(value.strip()).timestamp() - now)
    except ValueError:
        return None


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
    return error_in(found, answer)


def error_in(found: object, answer: Envelope) -> Envelope | None:
    """The error that an answer's JSON is, if it is one.

    Gateways send errors of the servers behind them with status 200: {"error": {"code": 429, ...}}, the same in a list
    (Google's), {"object": "error", ...}, or a choice that holds an error in place of an answer; and a response may
    have failed.
    """
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        return None
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
