"""Failures: what a server's "no" means: wait and try again, give up this one, or stop the run.

Nothing of the server's message is quoted, since it may quote what was sent: class, status, code and request id only.
"""

import json
import re
from typing import Any

from ...schemas.errors import TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .envelope import Envelope, seal

_CODE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_AGAIN = frozenset({408, 409, 425, 429, 529})
_THROTTLED = frozenset({429, 503, 529})
_MAYBE_PAID = frozenset({499, 504, 524})  # a proxy lost patience; the model may have written to the end
_QUOTA = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached", "credit_balance_too_low"})
_PARAMETER = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "invalid_parameter"})
_FIELD = re.compile(r"(max_tokens|thinking|temperature|effort|metadata)\b")  # Anthropic's messages open with it
_SCHEMA = re.compile(r"schema|response_format|output_config|structured_output|guided|grammar", re.I)


def failure(answer: Envelope, who: str, key_env: str | None) -> Unanswered | TeacherError:
    """The exception for an answer whose status is not 2xx.

    Args:
        answer: what came.
        who: the endpoint, as a user knows it.
        key_env: the variable that holds its key.
    """
    kind, code, message = _error(answer.body)
    fact = " ".join(filter(None, (str(answer.status), code or kind)))
    what = f"{who} answered {fact}" + (f" (request {answer.request_id})" if answer.request_id else "")
    status = answer.status
    if status in (401, 403):
        held = f"the key in {key_env}" if key_env else "a request without a key"
        return TeacherError(f"{what}: it does not let {held} in; check the key and what it may use")
    if status == 402 or {kind, code} & _QUOTA or (status in (400, 429) and "credit balance" in message.lower()):
        return TeacherError(f"{what}: its quota or credit is used up; top it up and run again to go on")
    if status == 404:
        return TeacherError(f"{what}: there is no such model or address; check model and base_url")
    if 300 <= status < 400:
        return TeacherError(f"{what}: it points elsewhere, and redirects are not followed; put the new address there")
    if status in (400, 422) and (_SCHEMA.search(message) or _SCHEMA.search(code or "")):
        return TeacherError(f"{what}: it does not take the schema of the answer; try another api, server or model")
    if status == 400 and (code in _PARAMETER or _FIELD.match(message)):
        return TeacherError(f"{what}: it does not take a parameter as it is; change the teacher's options")
    raw = seal(status, answer.headers.items(), answer.body)
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


def _error(body: bytes) -> tuple[str | None, str | None, str]:
    """Type, code and message of an error body of either provider."""
    try:
        found: Any = json.loads(body)
        error = found.get("error", found)
    except (ValueError, AttributeError, RecursionError):
        return None, None, ""
    if not isinstance(error, dict):
        return None, None, str(error)
    kind, code = (v if isinstance(v := error.get(k), str) and _CODE.fullmatch(v) else None for k in ("type", "code"))
    return kind, code, str(error.get("message", ""))
