"""Answers that cite: one JSON object, read strictly, and quotations that really stand in a text."""

import json
import re
from typing import Any

from ..schemas.layout import each_key_once

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.S)
_ALIKE = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})


def one_object(text: str) -> dict[str, Any]:
    """The JSON object that an answer is; a fence around it is taken off.

    Raises:
        ValueError: it is none, or a key stands in it twice; says why.
    """
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text, strict=False, object_pairs_hook=each_key_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not one JSON object ({str(error)[:100]})") from None
    if not isinstance(found, dict):
        raise ValueError("it is not one JSON object")
    return found


def storable(value: object) -> str:
    """A value as text; JSON can hold half a character, no file can."""
    return str(value).encode("utf-8", "replace").decode().strip()


def place_of(quote: str, text: str) -> tuple[int, int] | None:
    """The span of a quotation; white space, case, kinds of quotes and dashes, and marks at its ends do not matter."""
    words = quote.translate(_ALIKE).strip(" .…\"'").split()
    if not words:
        return None
    match = re.search(r"\s+".join(map(re.escape, words)), text.translate(_ALIKE), re.I)
    return match.span() if match else None
