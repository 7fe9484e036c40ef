"""Switches: every part of the reader by name, so that an ablation can turn it off and a claim can say what made it.

A part is a function that answers one question about a sentence; turned off, it gives its neutral answer. Nothing but
`benchmarks/ablation.py` and tests turn one off.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from ..memory import forget

P = ParamSpec("P")
R = TypeVar("R")

PARTS: list[str] = []
_OFF: set[str] = set()


def part(name: str, *, off: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a function as a part; `off` is what it answers while it is turned off."""

    def registered(answer: Callable[P, R]) -> Callable[P, R]:
        PARTS.append(name)

        @wraps(answer)
        def switched(*args: P.args, **kwargs: P.kwargs) -> R:
            return cast(R, off) if _OFF and name in _OFF else answer(*args, **kwargs)

        return switched

    return registered


def parts(*names: str) -> None:
    """Register parts that are a few lines of a function each, and ask `is_on`."""
    PARTS.extend(names)


def is_on(name: str) -> bool:
    """Whether a part is on."""
    return name not in _OFF


@contextmanager
def turned_off(*names: str) -> Iterator[None]:
    """Without these parts, and with nothing remembered of what was read with them."""
    if unknown := set(names) - {*PARTS}:
        raise KeyError(f"no such part: {', '.join(sorted(unknown))}")
    _OFF.update(names)
    forget()
    try:
        yield
    finally:
        _OFF.difference_update(names)
        forget()
