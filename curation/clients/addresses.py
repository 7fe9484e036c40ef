"""Addresses: scheme, host and port of an endpoint in one spelling, and whether it is this machine."""

import ipaddress
import re
from urllib.parse import urlsplit

from ...schemas.errors import RecipeError

_PORTS = {"http": 80, "https": 443}


def origin(endpoint: str) -> str:
    """Scheme, host and port of a URL, in one spelling.

    Raises:
        RecipeError: it is no http or https URL with a host, or holds a user or password.
    """
    try:
        parts = urlsplit(endpoint)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise RecipeError("an endpoint must be an http or https URL", field="endpoint") from None
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise RecipeError("an endpoint must have a host, and neither user nor password", field="endpoint")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if not re.fullmatch(re.escape(host) + r"(?::[0-9]*)?", parts.netloc, re.I):  # "[::1].elsewhere"
        raise RecipeError("an endpoint must be an http or https URL", field="endpoint")
    host = host.rstrip(".").lower()
    return f"{parts.scheme}://{host}" + ("" if port == _PORTS[parts.scheme] else f":{port}")


def is_loopback(endpoint: str) -> bool:
    """Whether an endpoint is this machine; names other than localhost are not looked up, and do not count."""
    host = urlsplit(origin(endpoint)).hostname or ""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback
