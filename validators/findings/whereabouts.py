"""Whereabouts: the places that a text speaks of, clause by clause, whatever it puts there. Knows places and sides, and
which sentences assert that something is somewhere; nothing of findings.
"""

from functools import lru_cache
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
    | word_set("elsewhere")
    | word_set("reserved")
    | word_set("inspect")
)
_CONDITIONS = word_set("condition")
_MARKS = frozenset({",", ";", ":", "but", "so"})
_HEALTHY = frozenset({"normal", "clear", "expanded", "sharp", "intact", "midline"})
_NOT_SAID = (
    CUES["neg_pre"] | CUES["neg_post"] | CUES["hyp_pre"] | CUES["hyp_post"] | CUES["alt_post"] | CUES["alt_pre"]
) | CUES["res_pre"]


class Whereabouts(NamedTuple):
    """The sides and zones of one clause, and the span of its sentence."""

    sides: frozenset[str]
    zones: frozenset[str]
    span: tuple[int, int]


@lru_cache(maxsize=512)
def whereabouts(text: str) -> tuple[Whereabouts, ...]:
    """The places of a report's clauses, unless what is there is denied."""
    found: list[Whereabouts] = []
    for start, end, heading in headed_sentences(text):
        if not heading.startswith(NOT_ASSERTED):
            tagged, scoped = tagged_sentence(text[start:end])
            found += _of(tagged, scoped, (start, end), [*range(len(tagged.entries))])
    return tuple(found)


@lru_cache(maxsize=8192)
def put_somewhere(sentence: str) -> tuple[Whereabouts, ...]:
    """Where a sentence plainly says that something abnormal is ("the changes lie at the left apex"); nothing for what
    is denied, weighed, or said of what is healthy."""
    tagged, scoped = tagged_sentence(sentence)
    words = tagged.words
    if not any(entry.place for entry in tagged.entries) or not _CONDITIONS.isdisjoint(words[:2]):
        return ()
    found: list[Whereabouts] = []
    fragment = not any(entry.cues & CUES["verb"] for entry in tagged.entries)
    marks = _MARKS - {","} if fragment else _MARKS
    ends = [at for at, word in enumerate(words) if word in marks] + [len(words)]
    for start, stop in zip([0, *ends], ends, strict=False):
        inside = [at for at, first in enumerate(tagged.first) if start <= first < stop]
        entries = [tagged.entries[at] for at in inside]
        if not _UNSURE.isdisjoint(words[start:stop]) or any(
            entry.cues & _NOT_SAID or not _HEALTHY.isdisjoint(entry.qualities) for entry in entries
        ):
            continue
        if _ANYTHING.isdisjoint(words[start:stop]) and not any(entry.finding for entry in entries):
            continue
        found += _of(tagged, scoped, (0, len(sentence)), inside)
    return tuple(found)


def _of(tagged: Tagged, scoped: Scope, span: tuple[int, int], inside: list[int]) -> list[Whereabouts]:
    book = lexicon()
    clauses: dict[int, tuple[set[str], list[str]]] = {}
    for index in inside:
        entry = tagged.entries[index]
        if scoped.states[index] & NEG or not (entry.place or entry.side):
            continue
        sides, places = clauses.setdefault(scoped.clauses[index], (set(), []))
        if entry.side and not quantifies(tagged, index):
            sides.add(entry.side)
        if entry.place:
            places.append(entry.place)
            if not entry.side and (side := book.place_sides.get(entry.place)):
                sides.add(side)
    return [
        Whereabouts(frozenset(sides), frozenset(zone for p in specific(tuple(places)) for zone in book.zones[p]), span)
        for sides, places in clauses.values()
    ]
