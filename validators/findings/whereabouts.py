"""Whereabouts: the places that a text speaks of, clause by clause, whatever it puts there. Knows places and sides, and
which sentences assert that something is somewhere; nothing of findings.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from .attach import quantifies
from .lexicon import CUES, lexicon, specific, word_set
from .scope import tagged_sentence
from .states import NEG, Scope
from .tagging import Tagged
from .text import NOT_ASSERTED, headed_sentences

_ANYTHING = word_set("anything")
_UNSURE = (
    word_set("soft")
    | word_set("weigh")
    | word_set("condition")
    | word_set("inspect")
    | word_set("reserved")
    | word_set("elsewhere")
) - {"more", "only", "sole", "alone", "above", "below", "however", "other", "else"}
_SEARCHES = word_set("search")
_CONDITIONS = word_set("condition")
_MARKS = frozenset({",", ";", ":", "but", "so"})
LUNG_ZONES = frozenset({"upper", "mid", "lower", "apex", "hilar"})
_HEALTHY = frozenset({"normal", "clear", "expanded", "sharp", "intact", "midline"})
_NOT_SAID = (
    CUES["neg_pre"] | CUES["neg_post"] | CUES["hyp_pre"] | CUES["hyp_post"] | CUES["alt_post"] | CUES["alt_pre"]
) | CUES["res_pre"]


class Whereabouts(NamedTuple):
    """A side, or both, with its zones, and the span of the sentence."""

    sides: frozenset[str]
    zones: frozenset[str]
    span: tuple[int, int]


@lru_cache(maxsize=512)
def whereabouts(text: str) -> tuple[Whereabouts, ...]:
    """The places of a report, unless what is there is denied or healthy."""
    found: list[Whereabouts] = []
    for start, end, heading in headed_sentences(text):
        if not heading.startswith(NOT_ASSERTED):
            tagged, scoped = tagged_sentence(text[start:end])
            healthy = any(_is_healthy(tagged, at) for at in range(len(tagged.entries)))
            if healthy and not any(entry.finding for entry in tagged.entries):
                continue
            found += _of(tagged, scoped, (start, end), [*range(len(tagged.entries))])
    return tuple(found)


@lru_cache(maxsize=8192)
def put_somewhere(sentence: str) -> tuple[Whereabouts, ...]:
    """Where a sentence plainly says that something abnormal is ("the changes lie at the left apex"); nothing for what
    is denied, weighed, or said of what is healthy."""
    tagged, scoped = tagged_sentence(sentence)
    words = tagged.words
    if not any(entry.place or entry.side for entry in tagged.entries) or not _CONDITIONS.isdisjoint(words[:2]):
        return ()
    if any(word in _SEARCHES and after == "for" for word, after in pairwise(words)):
        return ()  # "so I look for cavities, apical scarring and nodal disease"
    found: list[Whereabouts] = []
    fragment = not any(entry.cues & CUES["verb"] for entry in tagged.entries)
    marks = _MARKS - {",", ":"} if fragment else _MARKS
    ends = [at for at, word in enumerate(words) if word in marks] + [len(words)]
    while len(ends) > 1 and words[ends[0]] == "," and _only_places(tagged, ends[0]):
        del ends[0]  # "on the right, a rib is deformed"
    for start, stop in zip([0, *ends], ends, strict=False):
        inside = [at for at, first in enumerate(tagged.first) if start <= first < stop]
        if not _UNSURE.isdisjoint(words[start:stop]) or any(
            tagged.entries[at].cues & _NOT_SAID or _is_healthy(tagged, at) for at in inside
        ):
            continue
        if _ANYTHING.isdisjoint(words[start:stop]) and not any(tagged.entries[at].finding for at in inside):
            continue
        found += _of(tagged, scoped, (0, len(sentence)), inside)
    return tuple(found)


def _is_healthy(tagged: Tagged, at: int) -> bool:
    """Whether a phrase calls something healthy; but "a well-defined focus" is none the better for it."""
    follows = tagged.words[tagged.last[at] + 1 : tagged.last[at] + 3]
    return not _HEALTHY.isdisjoint(tagged.entries[at].qualities) and _ANYTHING.isdisjoint(follows)


def _only_places(tagged: Tagged, stop: int) -> bool:
    opening = [entry for first, entry in zip(tagged.first, tagged.entries, strict=True) if first < stop]
    return any(entry.side or entry.place for entry in opening) and not any(
        entry.finding or entry.qualities or entry.cues & CUES["verb"] for entry in opening
    )


def _of(tagged: Tagged, scoped: Scope, span: tuple[int, int], inside: list[int]) -> list[Whereabouts]:
    """A side begins a new pair once the one before has its place ("right upper and left lower lobes")."""
    book = lexicon()
    found: list[tuple[set[str], list[str], bool]] = []
    clause = -1
    for index in inside:
        entry = tagged.entries[index]
        whole = entry.organ == "lung" and not entry.place
        if scoped.states[index] & NEG or not (entry.place or entry.side or whole):
            continue
        side = entry.side if entry.side and not quantifies(tagged, index) else None
        if scoped.clauses[index] != clause or (side and (found[-1][1] or found[-1][2])):
            clause = scoped.clauses[index]
            found.append((set(), [], False))
        sides, places, _ = found[-1]
        if side:
            sides.add(side)
        if entry.place:
            places.append(entry.place)
            if not entry.side and (side := book.place_sides.get(entry.place)):
                sides.add(side)
        elif whole and sides:
            found[-1] = (sides, places, True)
    return [
        Whereabouts(
            frozenset(sides),
            LUNG_ZONES
            if lung and not places
            else frozenset(zone for place in specific(tuple(places)) for zone in book.zones[place]),
            span,
        )
        for sides, places, lung in found
    ]
