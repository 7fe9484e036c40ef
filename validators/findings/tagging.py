"""Tagging: a sentence's words, and the phrases of the lexicon among them (longest first). Linear in the words."""

from dataclasses import dataclass, field

from .lexicon import ORDINALS, Entry, lexicon, phrase, word_set
from .text import WORD

_PORTIONS = word_set("portion")
_LED = ("to", "us", "me", "the", "into", "on", "directly", "naturally", "back", "along", "through", "up")
_SUFFIXES = frozenset({"st", "nd", "rd", "th"})
_RANGES = frozenset({"through", "to", "thru"})
_LEVELS = frozenset({"c", "t", "l"})
_PARTS = frozenset({"upper", "middle", "lower", "mid", *ORDINALS, *_SUFFIXES})
_NOUNS = frozenset({"lobe", "zone", "lung", "field", "rib"})
_LINKS = frozenset({"and", "or", ",", "/", "+", "left", "right"})


@dataclass(slots=True)
class Tagged:
    """Words in their lexicon form with offsets in the text, and the phrases found: word spans and entries."""

    words: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    first: list[int] = field(default_factory=list)  # of each phrase: its first word
    last: list[int] = field(default_factory=list)  # and its last


def tag(low: str, start: int, end: int) -> Tagged:
    """The phrases in low[start:end]; `low` is lower case."""
    book = lexicon()
    forms, trie = book.forms, book.trie
    spans = [match.span() for match in WORD.finditer(low, start, end)]
    found = [low[begin:stop] for begin, stop in spans]
    words = [forms.get(word, word) for word in found]
    tagged = Tagged(words, [begin for begin, _ in spans], [stop for _, stop in spans])
    entries, first, last = tagged.entries, tagged.first, tagged.last
    position, count = 0, len(words)
    while position < count:
        node = trie.get(words[position])
        if node is None:
            position += 1
            continue
        best = node.get("")
        ahead = stop = position + 1
        while ahead < count and (node := node.get(words[ahead])) is not None:
            ahead += 1
            entry = node.get("")
            if entry is not None:
                best, stop = entry, ahead
        if best is not None and not (words[position] == "lead" and stop == position + 1 and _leads_on(found, position)):
            entries.append(best)
            first.append(position)
            last.append(stop - 1)
        position = stop
    if "one" in words or "it" in words:
        _resolve_one(tagged)
    if not _PARTS.isdisjoint(words):
        _resolve_shared(tagged)
    if not _RANGES.isdisjoint(words):
        _resolve_ranges(tagged)
    return tagged


def _leads_on(found: list[str], position: int) -> bool:
    """Whether "lead" is no wire: a bare singular, or a verb ("leads to")."""
    return found[position] == "lead" or found[position + 1 : position + 2] in ([word] for word in _LED)


def _resolve_one(tagged: Tagged) -> None:
    """ "A pneumothorax is sought, and a small one is seen", "there is one", "a sliver of it is there": the finding
    before."""
    words = tagged.words
    for at, word in enumerate(words):
        if not _stands_for(tagged, at, word):
            continue
        where = next((k for k, first in enumerate(tagged.first) if first >= at), len(tagged.first))
        earlier = [entry.finding for entry in tagged.entries[:where] if entry.finding]
        if earlier and (where == len(tagged.first) or tagged.first[where] > at):
            tagged.entries.insert(where, Entry(finding=earlier[-1]))
            tagged.first.insert(where, at)
            tagged.last.insert(where, at)
            return


def _stands_for(tagged: Tagged, at: int, word: str) -> bool:
    words = tagged.words
    if word == "it":
        return at > 1 and words[at - 1] == "of" and words[at - 2] in _PORTIONS
    if word != "one":
        return False
    if words[at + 1 : at + 2] in (["is"], ["are"], ["was"]) or words[max(0, at - 2) : at] == ["there", "is"]:
        return True
    return any(
        last == at - 1 and (entry.size or entry.side or entry.place) and not entry.finding
        for last, entry in zip(tagged.last, tagged.entries, strict=True)
    )


def _resolve_shared(tagged: Tagged) -> None:
    """ "The left upper and left lower lobes", "fifth and sixth ribs": a part of a name before a conjunction shares the
    noun after it."""
    words, index = tagged.words, 0
    while index < len(tagged.entries):
        noun = words[tagged.last[index]]
        if tagged.entries[index].place and noun in _NOUNS:
            for at in range(tagged.first[index] - 1, max(-1, tagged.first[index] - 6), -1):
                free = not any(a <= at <= b for a, b in zip(tagged.first, tagged.last, strict=True))
                if words[at] in _PARTS and free:
                    path = words[at - 1 : at + 1] if words[at] in _SUFFIXES else words[at : at + 1]
                    entry = phrase([*path, noun])
                    if entry is not None:
                        where = next(k for k, begin in enumerate(tagged.first) if begin > at)
                        tagged.entries.insert(where, entry)
                        tagged.first.insert(where, at)
                        tagged.last.insert(where, at)
                        index += 1
                elif words[at] not in _LINKS and not words[at].isdigit():
                    break
        index += 1


def _resolve_ranges(tagged: Tagged) -> None:
    """ "Ribs 3 through 7", "T5 to T8": what lies between is meant too, so no level is told apart."""
    words = tagged.words
    for index, entry in enumerate(tagged.entries):
        if not entry.place or not entry.place[-1].isdigit():
            continue
        after = words[tagged.last[index] + 1 : tagged.last[index] + 3]
        before = words[max(0, tagged.first[index] - 1) : tagged.first[index]]
        ends = bool(after) and after[0] in _RANGES and (after[-1].isdigit() or after[-1] in _LEVELS)
        whole = phrase([entry.place.partition("_")[0]])
        if whole is not None and (ends or (before and before[0] in _RANGES)):
            tagged.entries[index] = whole
