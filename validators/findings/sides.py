"""Sides compared: which side a text calls the worse one ("larger on the left than on the right").

Only comparisons of degree count; which dome of the diaphragm stands higher is normal anatomy.
"""

import re
from collections.abc import Iterator

from ..steps import vocabulary

_MORE = r"(?:greater|larger|bigger|worse|more|denser|wider|thicker|heavier|stronger|fuller)"
_LESS = r"(?:less|smaller|milder|fainter|lighter|thinner)"
_BETWEEN = r"(?:[\w-]+\s+){0,5}?"
_STRESSED = r"(?:pronounced|marked|severe|extensive|prominent|evident|conspicuous|so)"
_ONE = r"(?:\s+(?:one|side|effusion|base|lung))?"
_COMPARED = tuple(
    (
        rf"(?i)\b(left|right)\s+{_BETWEEN}{degree}\b\s+{_BETWEEN}than\b"  # the left larger than the right
        rf"|\b{degree}\s+{_BETWEEN}(left|right)\s+{_BETWEEN}than\b"  # worse on the left than on the right
        rf"|\b{degree}\s+(?:{_STRESSED}\s+)?(?:on|at)\s+the\s+(left|right)\b"  # more pronounced on the left
        rf"|\b(left|right){_ONE}\s+(?:is|being|was)\s+(?:the\s+)?{degree}\b",  # the left one is the larger
        sign,
    )
    for degree, sign in ((_MORE, 1), (_LESS, -1))
)
_EXCEEDS = r"(?i)\b(left|right)\s+(?:side\s+)?exceed(?:s|ing)\s+the\s+(?:left|right)\b"
_DEGREES = frozenset(re.findall(r"[a-z]{2,}", f"{_MORE} {_LESS} exceeds exceeding"))
_OTHER = {"left": "right", "right": "left"}


def worse_sides(text: str) -> tuple[str, ...]:
    """The side that is worse by each comparison in the text."""
    return () if _DEGREES.isdisjoint(vocabulary(text)) else tuple(_worse(text))


def _worse(text: str) -> Iterator[str]:
    for pattern, sign in _COMPARED:
        for match in re.finditer(pattern, text):
            side = next(filter(None, match.groups())).lower()
            yield side if sign > 0 else _OTHER[side]
    yield from (match.group(1).lower() for match in re.finditer(_EXCEEDS, text))
