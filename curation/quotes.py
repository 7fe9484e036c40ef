"""Quotations: whether words that a model cites really stand in a text, and where."""

import re

_ALIKE = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})


def place_of(quote: str, text: str) -> tuple[int, int] | None:
    """The span of a quotation; white space, case, kinds of quotation marks and dashes, and marks at its ends aside."""
    words = quote.translate(_ALIKE).strip(" .…\"'").split()
    if not words:
        return None
    match = re.search(r"\s+".join(map(re.escape, words)), text.translate(_ALIKE), re.I)
    return match.span() if match else None
