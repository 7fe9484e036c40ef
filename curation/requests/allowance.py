"""Allowance: what a provider's rate-limit headers say is left, and when there will be more.

OpenAI: `x-ratelimit-remaining-requests: 0`, `x-ratelimit-reset-requests: 6m0s`, the same for tokens. Anthropic:
`anthropic-ratelimit-requests-remaining: 0`, `anthropic-ratelimit-requests-reset: 2026-11-24T12:00:30Z`, the same for
tokens, input-tokens and output-tokens.
"""

import re
from collections.abc import Mapping
from datetime import datetime

_LEFT = re.compile(r"x-ratelimit-remaining-([a-z-]+)|anthropic-ratelimit-([a-z-]+)-remaining")
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def used_up(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until there is something left again of what is used up; none if nothing is, or nobody says until when.

    Args:
        headers: of an answer, names in lower case.
        now: seconds since the epoch.
    """
    waits = []
    for name, value in headers.items():
        match = _LEFT.fullmatch(name)
        if match is None or value.strip() != "0":
            continue
        reset = f"x-ratelimit-reset-{match[1]}" if match[1] else f"anthropic-ratelimit-{match[2]}-reset"
        if (seconds := _seconds(headers.get(reset, ""), now)) is not None:
            waits.append(seconds)
    return max(waits, default=None)


def _seconds(value: str, now: float) -> float | None:
    parts = _SPAN.findall(value)
    if parts and "".join(number + unit for number, unit in parts) == value.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(value.strip()).timestamp() - now)
    except ValueError:
        return None
