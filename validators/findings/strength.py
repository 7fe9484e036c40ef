"""Strength: whether the words around a mention say plainly that it is there.

What they do not is weak: the statement may weigh, seek, explain or deny it in words that the cues do not know.
"""

from .clauses import Clauses
from .lexicon import lexicon, word_set
from .match import Match
from .switches import part

_SOFT = word_set("soft") | word_set("soft_near")


@part("strength.words", off=False)
def is_weak(match: Match, clauses: Clauses, at: int) -> bool:
    """Whether the statement of an asserted mention has a word that softens it; a device that is named is there."""
    if match.entries[at].finding in lexicon().devices:
        return False
    start, stop = clauses.statement(match.first[at], len(match.words))
    return not _SOFT.isdisjoint(match.words[start:stop])
