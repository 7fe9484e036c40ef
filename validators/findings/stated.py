"""Statement: whether the words around a mention say plainly that it is there.

What they do not is soft: the sentence may weigh, seek, explain or deny it in words that the cues do not know.
"""

from .lexicon import CUES, word_set
from .view import View

_SOFT = word_set("soft")
_THERE = word_set("there")
_IS = frozenset({"is", "are"})
_OPENING = 4  # words before the subject of a sentence, at most
_SEARCHES = word_set("search")
# words before a finding, and after one, by which a statement says that it is there
_STATES = word_set("states")
_STANDS = word_set("stands")
_PORTIONS = word_set("portion")
_KINDS = word_set("kind")
_TURNS = word_set("turn")
_NOTS = frozenset({"not", "never", "nowhere"})


def is_soft(view: View, index: int) -> bool:
    """Whether the statement that a mention stands in has words of weighing or denial that did not reach it."""
    words, first = view.tagged.words, view.tagged.first[index]
    start = max((border for border in view.scope.borders if border < first), default=0)
    stop = min((border for border in view.scope.borders if border > first), default=len(words))
    if not _SOFT.isdisjoint(words[start:stop]) or _negated_later(view, index):
        return True
    if _sought(view, start, first):
        return True
    if view.weighs and not _affirmed(view, words[first:stop], words[start:first], index):
        return True
    return not _stated(view, index, start, stop)


def _stated(view: View, index: int, start: int, stop: int) -> bool:
    """Whether the words say in some way that it is there; a bare subject of another verb may be weighed by it
    ("pneumonia is off the table", "infection explains it")."""
    entry, words = view.tagged.entries[index], view.tagged.words
    first, last = view.tagged.first[index], view.tagged.last[index]
    if entry.finding is None or entry.finding in view.book.devices or entry.size or entry.side:
        return True
    if first > 1 and "of" in words[first - 2 : first] and not _KINDS.isdisjoint(words[max(0, first - 4) : first]):
        return False
    inside = [
        other
        for other, begin in zip(view.tagged.entries, view.tagged.first, strict=True)
        if start <= begin < stop and other is not entry
    ]
    if first > 1 and words[first - 1] == "of" and words[first - 2] not in _PORTIONS:
        return False  # "the outcome of aspiration"
    if any(other.side or other.place or other.size for other in inside) or view.measurements:
        return True
    before, after = words[start:first], words[last + 1 : stop]
    if any(other.cues & CUES["verb"] for other in inside) is False:
        return True
    return not _STATES.isdisjoint(before) or not _STANDS.isdisjoint(after)


def _sought(view: View, start: int, first: int) -> bool:
    """ "I look first for opacities": what follows, up to a colon, is what is looked for."""
    words = view.tagged.words
    for at in range(first - 1, start, -1):
        if words[at] == ":":
            return False
        if words[at] == "for" and not _SEARCHES.isdisjoint(words[max(0, at - 3) : at]):
            return True
    return False


def _negated_later(view: View, index: int) -> bool:
    """ "An effusion, which follows many infections, does not arise": a negation after it, before a contrast."""
    words = view.tagged.words
    for at in range(view.tagged.last[index] + 1, len(words)):
        if words[at] in _TURNS:
            return False
        if words[at] in _NOTS:
            return True
    return False


def _affirmed(view: View, after: list[str], before: list[str], index: int) -> bool:
    """Whether the statement says that it is there ("a fracture is present"); a device needs no such words."""
    if view.tagged.entries[index].finding in view.book.devices or "there" in before:
        return True
    return not _THERE.isdisjoint(after) and not _IS.isdisjoint(after)


def is_generic(view: View) -> bool:
    """Whether the sentence is of a kind, not of this patient: "bullae that rupture",
    "an effusion of this sort"."""
    if not view.mentions:
        return False
    if view.tagged.words[0] in ("when", "once"):
        return True
    words, first = view.tagged.words, view.mentions[0]
    after = view.tagged.last[first.index] + 1
    return view.tagged.first[first.index] < _OPENING and words[after : after + 1] in (["that"], ["when"])
