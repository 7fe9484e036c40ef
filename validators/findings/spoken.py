"""Only spoken of: a mention of the thing as such, of what is looked for, or of one candidate among many.

None of these says that it is there, or that it is not. Knows words and their order, no findings.
"""

from itertools import pairwise

from .lexicon import CUES, word_set
from .view import IS, NEAR, OPENING, View, modifies, statement

_COMPOUNDS = word_set("compound")
_SORTS = word_set("sort")
_SHOWS = word_set("show")
_REGARDS = word_set("regard")
_MARKS = word_set("mark")
_CAN = frozenset({"can", "may", "will"})
_DETERMINED = frozenset({"a", "an", "the", "this", "that", "some", "no", "any", "its", "their", "of"})
_REACHES = word_set("reach")
_APART = word_set("apart")
_PRODUCES = word_set("produce")
_BEST = frozenset({"best", "usually", "often", "easily", "commonly", "typically", "rarely", "sometimes", "another"})
_BARE = 3  # words of a name without adjectives
_CONTRASTS = frozenset({"but", "although", "though"})
_JOINS = CUES["conj"] | CUES["comma"] | CUES["or"]
_LISTED = 4  # words from one item of a list to the next
_MANY = 3
_SEARCHES = word_set("search")
_STATES = word_set("states")
_STANDS = word_set("stands")


def only_spoken_of(view: View, index: int) -> bool:
    """Whether a mention is what is looked for, or the object of a preposition of regard: nothing is said of it."""
    start, _ = statement(view, view.tagged.first[index])
    return _sought(view, start, view.tagged.first[index]) or is_object(view, index)


def of_a_kind(view: View, index: int, start: int) -> bool:
    """ "Aspiration is a known complication of hernias", "cancer treatment", "in heart failure the vessels swell"."""
    words, first, last = view.tagged.words, view.tagged.first[index], view.tagged.last[index]
    follows = words[last + 1 : last + 7]
    if follows[:1] and follows[0] in _COMPOUNDS:
        return True
    if follows[:1] in (["a"], ["an"], ["the"]) and follows[1:2] and follows[1] in _SORTS:
        return True  # "makes a tumor a consideration"
    be = next((at for at, word in enumerate(follows) if word in IS or word in ("has", "have")), None)
    if be is not None and {*follows[be + 1 : be + 2]} & _BEST:
        return True  # "nodules are best found by comparing", "adenopathy is another"
    says_what = be is not None and follows[be + 1 : be + 2] in (["a"], ["an"])
    if be is not None and says_what and not _SORTS.isdisjoint(words[last + be + 2 : last + be + 8]):
        return True
    back = index - 1
    while back >= 0 and view.tagged.last[back] == first - 1 and modifies(view.tagged.entries[back]):
        first, back = view.tagged.first[back], back - 1
    return words[start:first] in (["in"], [",", "in"])


def generally(view: View, index: int, start: int) -> bool:
    """ "Fluid collects in the recesses", "a pneumothorax separates the pleurae", "nodules appear as densities", "a
    cavity is tested for": a bare subject of some verb is the thing as such, or what is searched for."""
    entry, words = view.tagged.entries[index], view.tagged.words
    first, last = view.tagged.first[index], view.tagged.last[index]
    at = index + 1
    entries = view.tagged.entries
    while (
        at + 1 < len(entries) and entries[at].cues & _JOINS and (entries[at + 1].finding or entries[at + 1].qualities)
    ):
        if view.tagged.first[at + 1] - last > _LISTED:
            break
        last, at = view.tagged.last[at + 1], at + 2  # the end of its list
    last += words[last + 1 : last + 2] == ["both"]
    follows = words[last + 1 : last + 4]
    if len(follows) > 1 and follows[0] in IS and follows[1].endswith("ed") and follows[1] not in _STANDS:
        return True
    if follows[:1] in (["appear"], ["appears"]) and follows[1:2] == ["as"]:
        return True
    if _CAN & {*follows[:2]} and "be" not in follows:
        return True
    back = index - 1
    while back >= 0 and view.tagged.last[back] == first - 1 and modifies(entries[back]) and not entries[back].side:
        first, back = view.tagged.first[back], back - 1
    opens = first - (words[max(start, first - 1) : first] in (["a"], ["an"]))
    return (
        (opens == start or words[opens - 1] in _MARKS - _CONTRASTS)
        and entry.words <= _BARE
        and "".join(follows[:1]).isalpha()
        and (last + 1 not in view.tagged.first or follows[0] in _REACHES)
        and (
            (_STANDS | _REACHES).isdisjoint(follows)
            or (not _REACHES.isdisjoint(follows) and not _somewhere(view, index, start))
        )
    )


def _somewhere(view: View, index: int, start: int) -> bool:
    _, stop = statement(view, view.tagged.first[index])
    return any(
        (entry.place or entry.side) and start <= first < stop
        for first, entry in zip(view.tagged.first, view.tagged.entries, strict=True)
    )


def taken(view: View, index: int, start: int) -> bool:
    """ "Gravity takes free fluid to the sulci": the bare object of a verb that the lexicon does not know."""
    words, first = view.tagged.words, view.tagged.first[index]
    if index > 1 and view.tagged.entries[index - 1].cues & _JOINS and view.tagged.entries[index - 2].finding:
        return first - view.tagged.last[index - 2] <= _LISTED and taken(view, index - 2, start)
    if not _PRODUCES.isdisjoint(words[max(start, first - 2) : first]):
        return True
    known = {at for a, b in zip(view.tagged.first, view.tagged.last, strict=True) for at in range(a, b + 1)}
    for at in range(first - 1, max(start - 1, first - 3), -1):
        word = words[at]
        if at in known or word in _DETERMINED or not word.isalpha():
            return False
        if len(word) > _LISTED - 1 and word.endswith("s") and word not in _SHOWS | _STATES and at > start:
            return True
    return False


def invited(view: View, index: int) -> bool:
    """ "Emphysema invites pneumothorax": the object of a verb that the lexicon does not know, beside its subject."""
    first = view.tagged.first[index]
    return (
        index > 0
        and view.tagged.entries[index - 1].finding is not None
        and view.tagged.last[index - 1] == first - 2
        and view.tagged.words[first - 1].endswith("s")
    )


def one_of_many(view: View, index: int) -> bool:
    """Whether it is in a bare list of three findings or more: a differential diagnosis, if nothing places them."""
    tagged = view.tagged
    items = [at for at, entry in enumerate(tagged.entries) if entry.finding and entry.finding not in view.book.devices]
    if index not in items or len(items) < _MANY:
        return False
    groups, group = [], [items[0]]
    for before, item in pairwise(items):
        between = tagged.entries[before + 1 : item]
        joined = between and all(entry.cues & _JOINS or modifies(entry) for entry in between)
        if joined and tagged.first[item] - tagged.last[before] <= NEAR:
            group.append(item)
        else:
            groups.append(group)
            group = [item]
    groups.append(group)
    mine = next(group for group in groups if index in group)
    low, high = tagged.first[mine[0]], tagged.last[mine[-1]]
    return len(mine) >= _MANY and not any(
        not entry.finding and (entry.side or entry.place or entry.size)
        for first, entry in zip(tagged.first, tagged.entries, strict=True)
        if low - 2 <= first <= high
    )


def is_object(view: View, index: int) -> bool:
    """ "Moving past infection", "a verdict on pneumothorax": what a preposition of regard governs is not asserted."""
    first = view.tagged.first[index]
    back = index - 1
    while back >= 0 and view.tagged.last[back] == first - 1 and modifies(view.tagged.entries[back]):
        first, back = view.tagged.first[back], back - 1
    bare = first - (view.tagged.words[max(0, first - 1) : first] in (["a"], ["an"]))
    before = view.tagged.words[max(0, bare - 2) : bare]
    joint = first - 1 - (before[-1:] in (["a"], ["an"], ["the"]))
    if before and back > 0 and view.tagged.last[back] == joint and view.tagged.entries[back].cues & _JOINS:
        nearest = next((at for at in range(back - 1, -1, -1) if view.tagged.entries[at].finding), None)
        if nearest is not None and first - view.tagged.last[nearest] <= _LISTED:
            return is_object(view, nearest)
    if not before or any(a < bare - 1 == b for a, b in zip(view.tagged.first, view.tagged.last, strict=True)):
        return False  # "due to", "suspicious for", "apart from": a phrase of its own
    if "from" in before:  # an adjective may stand between: "from true consolidation"
        return not _APART.isdisjoint(view.tagged.words[max(0, bare - 2 * NEAR) : bare])
    return before[-1] in _REGARDS or before == ["than", "by"]


def _sought(view: View, start: int, first: int) -> bool:
    """ "I look first for opacities": what follows, up to a colon, is what is looked for."""
    words = view.tagged.words
    for at in range(first - 1, start, -1):
        if words[at] == ":":
            return False
        if words[at] == "for" and not _SEARCHES.isdisjoint(words[max(0, at - 3) : at]):
            return True
    return False


def is_generic(view: View) -> bool:
    """Whether the sentence is of a kind, not of this patient: "bullae that rupture",
    "an effusion of this sort"."""
    if not view.mentions:
        return False
    if view.tagged.words[0] in ("when", "once"):
        return True
    words, first = view.tagged.words, view.mentions[0]
    after = view.tagged.last[first.index] + 1
    return view.tagged.first[first.index] < OPENING and words[after : after + 1] in (["that"], ["when"])
