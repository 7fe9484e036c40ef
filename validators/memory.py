"""Memory of what was read: reports and traces repeat their sentences. Bounded by bytes, not by entries.

`remember` keeps a function's answers by its text, the latest used ones, up to a limit of estimated bytes. `forget`
empties every such memory, so that a benchmark reads each text as if for the first time.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

R = TypeVar("R")

_ALL: list[Callable[[], None]] = []
_BASE = 200  # bytes of an entry without its text and answer


def remember(limit: int, cost: Callable[[Any], int]) -> Callable[[Callable[[str], R]], Callable[[str], R]]:
    """Remember a function of one text.

    Args:
        limit: bytes that all answers together may take, as estimated.
        cost: the estimated bytes of one answer.
    """

    def decorated(read: Callable[[str], R]) -> Callable[[str], R]:
        known: OrderedDict[str, R] = OrderedDict()
        sizes: dict[str, int] = {}
        total = 0

        @wraps(read)
        def answered(text: str) -> R:
            nonlocal total
            if text in known:
                known.move_to_end(text)
                return known[text]
            answer = read(text)
            size = _BASE + len(text) + cost(answer)
            if size <= limit:
                known[text] = answer
                sizes[text] = size
                total += size
                while total > limit:
                    oldest, _ = known.popitem(last=False)
                    total -= sizes.pop(oldest)
            return answer

        def clear() -> None:
            nonlocal total
            known.clear()
            sizes.clear()
            total = 0

        _ALL.append(clear)
        return answered

    return decorated


C = TypeVar("C", bound=Callable[..., Any])


def remembered(cache: C) -> C:
    """Register a function that `functools.lru_cache` wraps, so that `forget` empties it too."""
    _ALL.append(cache.cache_clear)  # type: ignore[attr-defined]  # what lru_cache adds to a function
    return cache


def forget() -> None:
    """Empty every memory."""
    for clear in _ALL:
        clear()
