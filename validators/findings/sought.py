"""What a sentence looks for, and does not say to be there. Knows word order, and the verbs and nouns of looking.

"Each apex is checked with care for a pneumothorax", "for a pneumothorax, each apex is checked", "the apex is inspected
with pneumothorax in mind", "lines are looked for", and "any effusion would blunt the angle".
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from .clauses import BREAK, NEG_PRE, Clauses, reached
from .lexicon import CUES, word_set
from .match import Match
from .switches import part

_LOOK = word_set("look")
_PURPOSE = frozenset({"for", "with"})
_PART_BEGINS = CUES["prep"] | CUES["conj"] | CUES["comma"] | CUES["presup"] | NEG_PRE | BREAK


@part("modifiers.sought", off=())
def sought(match: Match, clauses: Clauses, ends: int) -> tuple[int, ...]:
    """The phrases of a sentence that it only looks for.

    Args:
        match: the sentence.
        clauses: its clauses.
        ends: the cues at which the reach of a "looked for" ends.
    """
    words = match.words
    if "any" not in words and (_LOOK.isdisjoint(words) or _PURPOSE.isdisjoint(words)):
        return ()
    found: list[int] = []
    for at, word in enumerate(words):
        if word == "any" or (word in _PURPOSE and _looks(match, clauses, at)):
            after = bisect_right(match.first, at)
            if _is_stranded(match, at, after):
                found += reached(match, clauses, after, clauses.number[after - 1], ends) if after else ()
            else:
                found += _up_to_verb(match, clauses, at, after)
    return tuple(found)


def _looks(match: Match, clauses: Clauses, at: int) -> bool:
    """Whether an act of looking stands in the statement before a "for" or "with", or after one that opens it all."""
    words = match.words
    return not _LOOK.isdisjoint(words[clauses.statement(at, len(words))[0] : at] if at else words)


def _is_stranded(match: Match, at: int, after: int) -> bool:
    """Whether a "looked for" has nothing after it: the sentence ends, or another part of it begins."""
    if match.words[at] != "for" or not at or match.words[at - 1] not in _LOOK:
        return False
    if after == len(match.entries):
        return True
    return match.first[after] == at + 1 and bool(match.entries[after].cues & _PART_BEGINS)


def _up_to_verb(match: Match, clauses: Clauses, at: int, after: int) -> Iterator[int]:
    """The phrases after a word of its statement, up to a verb ("support" of "support lines" is none)."""
    _, end = clauses.statement(at, len(match.words))
    for phrase in range(after, bisect_left(match.first, end)):
        if match.entries[phrase].cues & CUES["verb"] and match.first[phrase] > at + 1:
            break
        yield phrase
