"""Anew: whether what follows a comma or "and" begins something of its own, rather than the next item of a list."""

from .lexicon import CUES, Entry, lexicon, word_set
from .states import BACKWARD, BREAK, NEG, NEG_PRE, is_head
from .tagging import Tagged

_LISTS = frozenset({"or", "nor", "either", "any", "not", "no"})
_PAIR = 4  # words from "both" to its "and"
_LEAD = 3  # words between a comma and the subject after it
_ARTICLES = frozenset({"a", "an"})
_LIMITS = word_set("limit")
_RESETS = word_set("reset")
_THERE = word_set("there") - {"there"}


def starts_anew(tagged: Tagged, index: int, state: int) -> bool:
    """Whether what follows a comma or "and" is something new, rather than the next item of the list."""
    entries, after = tagged.entries, tagged.last[index] + 1
    mark = tagged.words[tagged.last[index]]
    if after >= len(tagged.words) or mark not in (",", "and"):
        return False
    if mark == "," and state & NEG and tagged.words[tagged.first[index] - 1] in _LIMITS:
        return False  # "no acute, displaced fracture"
    anew = tagged.words[after] in _RESETS
    comma = bool(entries[index].cues & CUES["comma"])
    if comma and _after_summary(tagged, index):
        return True
    follow = index + 1
    subject = (
        follow < len(entries)
        and entries[follow].organ is not None
        and tagged.first[follow] <= after + (_LEAD if comma else 1)
    )
    if mark == "," and state & NEG and _item_of_its_own(tagged, index):
        return True
    if mark == "and" and (comma or _closed(tagged, index)) and _says_of(tagged, index):
        return True
    if not (anew or subject):
        return False
    if anew and comma and mark == "and" and tagged.words[after] in _ARTICLES:
        return True
    if not comma and "both" in tagged.words[max(0, tagged.first[index] - _PAIR) : tagged.first[index]]:
        return False  # "against both air trapping and a poor breath"
    if not comma and not state & NEG and not any(entry.cues & CUES["verb"] for entry in entries[follow : follow + 6]):
        return False
    for at in range(follow, min(len(entries), follow + 12)):
        entry = entries[at]
        if entry.side and not entry.finding and tagged.first[at] <= after + 1:
            return True  # "without failure, elevated left dome, ...": what has a side of its own is new
        if entry.cues & CUES["or"] and anew and not subject:
            return False
        if subject and (entry.cues & CUES["verb"] or _predicates(entry)):
            return True
        if subject and entry.qualities and at == follow + 1 and tagged.first[at] == tagged.last[follow] + 1:
            return True  # "not widened, aortic knob calcified"
        if entry.cues & (BREAK | CUES["presup"] | CUES["verb"] | NEG_PRE):
            break
    return anew


def says_something(tagged: Tagged, index: int) -> bool:
    """Whether a verb follows before the next comma: else it is an item of a list ("asbestos, old infection")."""
    for entry in tagged.entries[index + 1 :]:
        if entry.cues & CUES["verb"] or entry.cues & BACKWARD:
            return True
        if entry.cues & (CUES["comma"] | BREAK):
            return False
    return False


def _says_of(tagged: Tagged, index: int) -> bool:
    """ "..., and scar was the better reading": a finding that is the subject of a verb; not of "is seen", unless the
    denial before it is closed."""
    entries, closed = tagged.entries, _closed(tagged, index)
    if index + 1 >= len(entries) or not entries[index + 1].finding:
        return False
    for at in range(index + 2, min(len(entries), index + (_PAIR if closed else 1) + 2)):
        entry, last = entries[at], tagged.last[at]
        if entry.cues & CUES["verb"]:
            return closed or tagged.words[last + 1 : last + 2] in (["the"], ["a"], ["an"])
        if entry.cues & (CUES["comma"] | BREAK | NEG_PRE):
            return False
    return False


def _closed(tagged: Tagged, index: int) -> bool:
    """Whether the denial before the comma has its verb already ("no effusion is seen, and ...")."""
    for entry in reversed(tagged.entries[:index]):
        if entry.cues & CUES["verb"]:
            return True
        if entry.cues & NEG_PRE:
            return False
    return False


def _item_of_its_own(tagged: Tagged, index: int) -> bool:
    """ "No fracture, wires in the midline", "not clear, disease present": no list with "or", and it is placed or said
    to be there."""
    words, start = tagged.words, tagged.last[index] + 1
    stop = next((at for at in range(start, len(words)) if words[at] in (",", ";", ".", ":")), len(words))
    if any(word in _LISTS for word in words[start:]):
        return False
    item = [at for at, first in enumerate(tagged.first) if start <= first < stop]
    if not any(is_head(tagged.entries[at]) for at in item):
        return False
    said = not _THERE.isdisjoint(words[start:stop])
    devices = lexicon().devices
    return said or any(tagged.entries[at].finding in devices for at in item)


def _after_summary(tagged: Tagged, index: int) -> bool:
    """ "No acute abnormality, nodule in the left lung": a list after a denied summary goes on only to an "or"."""
    before = next((entry for entry in reversed(tagged.entries[max(0, index - 3) : index]) if is_head(entry)), None)
    if before is None or before.finding or "abnormal" not in before.qualities:
        return False
    return not any(entry.cues & CUES["or"] for entry in tagged.entries[index + 1 : index + 12])


def _predicates(entry: Entry) -> bool:
    return bool(entry.qualities) and entry.finding is None and "abnormal" not in entry.qualities
