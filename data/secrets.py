"""Secrets: how keys, tokens and passwords look, so that none is stored, shown or leaves with a folder."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

SECRETS = tuple(
    (what, re.compile(pattern))
    for what, pattern in (
        ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}"),
        ("an API key", r"\bsk-[A-Za-z0-9_-]{20,}"),
        ("an AWS key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
        ("a Google key", r"\bAIza[0-9A-Za-z_-]{35}"),
        ("a Slack token", r"\bxox[abprs]-[0-9A-Za-z-]{10,}"),
        ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
        (
            "a password or key",
            r"(?i)\b(?:api[_-]?key|secret|password|access[_-]?token|auth[_-]?token)\"?\s*[:=]\s*\"?[\w+/-]{12,}",
        ),
        ("a password in an address", r"\b[a-z]+://[^\s/:@]+:[^\s/@]+@"),
    )
)
# In a recipe nothing else looks like these, so shorter ones count too.
_SHORT = re.compile(r"(?<![A-Za-z0-9])(?:sk|rk|gsk|xai|nvapi|pplx|csk)[-_][A-Za-z0-9_-]{6,}")
_BEARER = re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")
_NAMES = re.compile(
    r"(?i)(?:^|[_-])(?:(?:api|access|auth)[_-]?(?:key|token)|secret|password|authorization|credentials?)$"
)

_IN_ENVIRONMENT = re.compile(r"(?:KEY|KEY_ID|TOKEN|SECRET|PASSWORD|PASSWD)$")
_LEAST = 6  # characters; a shorter one would blot out words


def secret_in(values: object, path: str = "") -> tuple[str, str] | None:
    """Where a secret stands in a recipe, and what it looks like; none if none does.

    Args:
        values: of a recipe: mappings, lists and values.
        path: of `values`, with dots.
    """
    for where, name, value in _strings(values, path):
        named = bool(_NAMES.search(name)) and bool(value.strip())
        looks = next((what for what, pattern in SECRETS if pattern.search(value)), None)
        if looks is None and (_SHORT.search(value) or _BEARER.search(value) or named):
            looks = "a key"
        if looks is not None:
            return where, looks
    return None


def _strings(values: object, path: str, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text with its path and the key that it stands under."""
    todo: list[tuple[object, str, str]] = [(values, path, name)]
    while todo:
        found, where, key = todo.pop()
        items: Iterator[tuple[Any, Any]] = iter(())
        if isinstance(found, str):
            yield where, key, found
        elif isinstance(found, Mapping):
            items = iter(found.items())
        elif isinstance(found, list | tuple):
            items = iter(enumerate(found))
        todo += [(inner, f"{where}.{part}" if where else str(part), str(part)) for part, inner in items]


def without_secrets(text: str) -> str:
    """A text to show, with dots in place of what looks like a secret, and of what the environment names as one."""
    for _, pattern in (*SECRETS, ("", _SHORT), ("", _BEARER)):
        text = pattern.sub("...", text)
    named = (value for name, value in os.environ.items() if len(value) >= _LEAST and _IN_ENVIRONMENT.search(name))
    for value in sorted(named, key=len, reverse=True):
        text = text.replace(value, "...")
    return text
