"""Envelopes: an answer as it came, for the journal: one line of JSON (status, some headers), then the body.

It knows bytes. What they say is for `answers.py`.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ...schemas.errors import InputError

_KEPT = re.compile(
    r"content-type|date|(?:x-)?request-id|retry-after(?:-ms)?|x-should-retry|openai-processing-ms|openai-version"
    r"|(?:x|anthropic)-ratelimit-[a-z-]+"
)

_LEFT = re.compile(r"x-ratelimit-remaining-([a-z-]+)|anthropic-ratelimit-([a-z-]+)-remaining")
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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
        """Seconds that the server asks to wait; none if it does not say, or says nothing sensible."""
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
