"""Strength: whether the words around a mention say plainly that it is there.

What they do not is weak: the sentence may weigh, seek, explain or deny it in words that the cues do not know.
"""

from .clauses import Clauses
from .lexicon import CUES, lexicon, word_set
from .match import Match
from .switches import part

_SOFT = word_set("soft")
_NEAR_SOFT = word_set("soft_near")
_SUPPOSES = word_set("supposes")
_STATES = word_set("states")
_STANDS = word_set("stands")
_PORTIONS = word_set("portion")
_TURNS = word_set("turn")
_MARKS = word_set("mark")
_NOTS = frozenset({"not", "never", "nowhere", "isn't", "aren't", "doesn't", "don't", "wasn't", "can't"})


def weakness(match: Match, clauses: Clauses, at: int) -> str | None:
    """The name of the part by which an asserted mention is weak; none if it is explicit."""
    start, stop = clauses.statement(match.first[at], len(match.words))
    if match.entries[at].finding in lexicon().devices:
        return "strength.supposed" if _is_supposed(match, at, start, stop) else None
    if _has_soft_words(match, start, stop):
        return "strength.words"
    if _is_negated_later(match, at):
        return "strength.negated_later"
    return None if _is_stated(match, at, start, stop) else "strength.bare"


@part("strength.supposed", off=False)
def _is_supposed(match: Match, at: int, start: int, stop: int) -> bool:
    """Even a device is only supposed next to some words ("a line could be mistaken for an edge")."""
    words, first, last = match.words, match.first[at], match.last[at]
    low = max((k + 1 for k in range(start, first) if words[k] in _MARKS), default=start)
    high = min((k for k in range(last + 1, stop) if words[k] in _MARKS), default=stop)
    return not _SUPPOSES.isdisjoint(words[low:high])


@part("strength.words", off=False)
def _has_soft_words(match: Match, start: int, stop: int) -> bool:
    return not _SOFT.isdisjoint(match.words[start:stop]) or not _NEAR_SOFT.isdisjoint(match.words[start:stop])


@part("strength.negated_later", off=False)
def _is_negated_later(match: Match, at: int) -> bool:
    """ "An effusion, which follows many infections, does not arise": a negation after it, before a contrast."""
    for word in match.words[match.last[at] + 1 :]:
        if word in _TURNS:
            return False
        if word in _NOTS:
            return True
    return False


@part("strength.bare", off=True)
def _is_stated(match: Match, at: int, start: int, stop: int) -> bool:
    """Whether the words say in some way that it is there; a bare subject of another verb may be weighed by it
    ("pneumonia is off the table", "infection explains it")."""
    entry, words, first, last = match.entries[at], match.words, match.first[at], match.last[at]
    if entry.finding is None or entry.size or entry.side:
        return True
    if words[first - 1 : first] == ["of"] and words[first - 2] not in _PORTIONS:
        return False  # "the outcome of aspiration"
    inside = [other for other, begin in zip(match.entries, match.first, strict=True) if start <= begin < stop]
    if any(other is not entry and (other.side or other.place or other.size) for other in inside):
        return True
    if not any(other.cues & CUES["verb"] for other in inside):
        return True
    return not _STATES.isdisjoint(words[start:first]) or not _STANDS.isdisjoint(words[last + 1 : stop])
