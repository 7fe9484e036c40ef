"""Matches: a sentence's words, and the phrases of the lexicon among them, longest first. Linear in the words."""

import re
from dataclasses import dataclass, field
from itertools import accumulate

from .lexicon import Entry, lexicon, word_set
from .switches import part
from .text import WORD, lower

_SPLIT = re.compile(f"({WORD.pattern})")
_PORTIONS = word_set("portion")


@dataclass(slots=True)
class Match:
    """Words in their lexicon form with offsets in the text, and the phrases found: word spans and entries."""

    words: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    first: list[int] = field(default_factory=list)  # of each phrase: its first word
    last: list[int] = field(default_factory=list)  # and its last
    cues: int = 0  # of all phrases together


def is_head(entry: Entry) -> bool:
    """Whether the phrase is something that can be asserted: a finding, device or quality."""
    return bool(entry.heads)


def match(sentence: str) -> Match:
    """The phrases of a sentence."""
    book = lexicon()
    between = _SPLIT.split(lower(sentence))  # what stands between words, and every second time a word
    written, offsets = between[1::2], list(accumulate(map(len, between)))
    words = list(map(book.forms.get, written, written))
    found = Match(words, offsets[:-1:2], offsets[1::2])
    entries, first, last = found.entries, found.first, found.last
    stop, count = 0, len(words)
    for position, node in enumerate(map(book.trie.get, words)):
        if node is None or position < stop:
            continue
        best, deeper = node
        ahead = stop = position + 1
        while deeper and ahead < count and (node := deeper.get(words[ahead])) is not None:
            ahead += 1
            entry, deeper = node
            if entry is not None:
                best, stop = entry, ahead
        if best is not None:
            entries.append(best)
            found.cues |= best.cues
            first.append(position)
            last.append(stop - 1)
    if "one" in words or "it" in words:
        _resolve_one(found)
    return found


@part("match.one", off=None)
def _resolve_one(found: Match) -> None:
    """ "A pneumothorax is sought, and a small one is seen", "there is one", "a sliver of it is there": the finding
    before."""
    words = found.words
    for at, word in enumerate(words):
        if not _stands_for(found, at, word):
            continue
        where = next((k for k, first in enumerate(found.first) if first >= at), len(found.first))
        earlier = [entry.finding for entry in found.entries[:where] if entry.finding]
        if earlier and (where == len(found.first) or found.first[where] > at):
            head = f"[{earlier[-1]}]"
            fits = frozenset(lexicon().pairs.get(head, ()))
            found.entries.insert(where, Entry(finding=earlier[-1], heads=(head,), fits=fits))
            found.first.insert(where, at)
            found.last.insert(where, at)
            return


def _stands_for(found: Match, at: int, word: str) -> bool:
    words = found.words
    if word == "it":
        return at > 1 and words[at - 1] == "of" and words[at - 2] in _PORTIONS
    if word != "one":
        return False
    if words[at + 1 : at + 2] in (["is"], ["are"], ["was"]) or words[max(0, at - 2) : at] == ["there", "is"]:
        return True
    return any(
        last == at - 1 and (entry.size or entry.side or entry.place) and not entry.finding
        for last, entry in zip(found.last, found.entries, strict=True)
    )
