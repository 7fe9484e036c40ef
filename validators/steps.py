"""The steps as rules read them: positions, texts up to a limit, words. Cached by text; no rule itself.

Rules whose patterns all contain one of a few words look for these words first: most steps have none of them.
"""

import re
from functools import lru_cache

from ..schemas.candidate import Candidate
from ..schemas.trace import STEPS

STEP_LIMIT = 2_000  # characters of a step that are read; `length.py` rejects longer ones

_WORD = re.compile(r"[^\W\d_]+|\d+")


def steps_of(candidate: Candidate) -> list[tuple[int, str]]:
    """Positions from 1 and texts of the first ten steps."""
    trace = candidate.trace
    if trace is None:
        return []
    return [(position, step.text[:STEP_LIMIT]) for position, step in enumerate(trace.steps[:STEPS], 1)]


@lru_cache(maxsize=8192)
def words_of(text: str) -> tuple[str, ...]:
    """The words and numbers of a text, in lower case."""
    return tuple(_WORD.findall(text.lower()))


@lru_cache(maxsize=8192)
def vocabulary(text: str) -> frozenset[str]:
    """The set of words_of."""
    return frozenset(words_of(text))
