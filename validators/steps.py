"""The steps as rules read them: positions, texts up to a limit, words. Cached by text; no rule itself.

Rules whose patterns all contain one of a few words look for these words first: most steps have none of them.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from ..schemas.candidate import Candidate
from ..schemas.trace import STEPS
from .memory import remembered

T = TypeVar("T")

STEP_LIMIT = 2_000  # characters of a step that are read; `length.py` rejects longer ones

_TOKEN = re.compile(r"[a-z]+(?=[ ,.])|[^\W\d_]+|\d+|[^\w\s]|_")


def per_candidate(read: Callable[[Candidate], T]) -> Callable[[Candidate], T]:
    """Remember what was read of the last candidate: the gate asks its rules one after another about the same one."""
    last: tuple[Candidate, T] | None = None

    def remembered(candidate: Candidate) -> T:
        nonlocal last
        if last is None or last[0] is not candidate:
            last = candidate, read(candidate)
        return last[1]

    return remembered


@per_candidate
def steps_of(candidate: Candidate) -> tuple[tuple[int, str], ...]:
    """Positions from 1 and texts of the first ten steps."""
    trace = candidate.trace
    if trace is None:
        return ()
    return tuple((position, step.text[:STEP_LIMIT]) for position, step in enumerate(trace.steps[:STEPS], 1))


@remembered
@lru_cache(maxsize=512)
def tokens(text: str) -> list[str]:
    """The words, numbers and single marks of a text, in lower case."""
    return _TOKEN.findall(text.lower())


@remembered
@lru_cache(maxsize=512)
def words_of(text: str) -> tuple[str, ...]:
    """The words and numbers of a text, in lower case."""
    return tuple(filter(str.isalnum, tokens(text)))


@remembered
@lru_cache(maxsize=512)
def vocabulary(text: str) -> frozenset[str]:
    """The set of words_of."""
    return frozenset(words_of(text))
