"""Whereabouts: the places that a sentence speaks of, whatever it puts there. Knows places, sides, and which sentences
assert that something abnormal is somewhere; nothing of findings.
"""

from typing import NamedTuple

from ..memory import remember
from .attach import quantifies
from .clauses import BACKWARD, FORWARD, Clauses
from .lexicon import CUES, lexicon, specific, word_set
from .match import Match
from .modifiers import NEG, Modified, parsed
from .text import NOT_ASSERTED, headed_sentences

LUNG_ZONES = frozenset({"upper", "mid", "lower", "apex", "hilar"})
_ANYTHING = word_set("anything")
_UNSURE = (
    word_set("soft") | word_set("condition") | word_set("inspect") | word_set("search") | word_set("elsewhere")
) - {"more", "only", "sole", "alone", "above", "below", "however", "other", "else"}
_HEALTHY = frozenset({"normal", "clear", "expanded", "sharp", "intact", "midline"})
_NOT_SAID = (FORWARD | BACKWARD) & ~(CUES["unc_pre"] | CUES["unc_adj"] | CUES["unc_post"])
_MEMORY = 2_000_000  # bytes
_AFTER = 4  # words after the last phrase of a clause that are its own
_PLACE = 600  # bytes of one, about


class Whereabouts(NamedTuple):
    """A side, or both, with its zones, and the span of the sentence."""

    sides: frozenset[str]
    zones: frozenset[str]
    span: tuple[int, int]


@remember(_MEMORY, cost=lambda found: _PLACE * len(found))
def whereabouts(text: str) -> tuple[Whereabouts, ...]:
    """The places of a report, unless what is there is denied or healthy."""
    found: list[Whereabouts] = []
    for start, end, heading in headed_sentences(text):
        if not heading.startswith(NOT_ASSERTED):
            matched, clauses, modified = parsed(text[start:end])
            healthy = any(_is_healthy(matched, at) for at in range(len(matched.entries)))
            if not healthy or any(entry.finding for entry in matched.entries):
                found += _places(matched, clauses, modified, (start, end), range(len(matched.entries)))
    return tuple(found)


@remember(_MEMORY, cost=lambda found: _PLACE * len(found))
def put_somewhere(sentence: str) -> tuple[Whereabouts, ...]:
    """Where a sentence plainly says that something abnormal is ("the changes lie at the left apex"); nothing for what
    is denied, weighed, or said of what is healthy."""
    matched, clauses, modified = parsed(sentence)
    if not any(entry.place or entry.side for entry in matched.entries):
        return ()
    found: list[Whereabouts] = []
    for clause in sorted({*clauses.number}):
        inside = [at for at, number in enumerate(clauses.number) if number == clause]
        words = matched.words[matched.first[inside[0]] if clause else 0 : matched.last[inside[-1]] + _AFTER]
        if not _UNSURE.isdisjoint(words):
            continue
        entries = [matched.entries[at] for at in inside]
        if any(entry.cues & _NOT_SAID for entry in entries) or any(_is_healthy(matched, at) for at in inside):
            continue
        if not _ANYTHING.isdisjoint(words) or any(entry.finding for entry in entries):
            found += _places(matched, clauses, modified, (0, len(sentence)), inside)
    return tuple(found)


def _is_healthy(matched: Match, at: int) -> bool:
    """Whether a phrase calls something healthy; but "a well-defined focus" is none the better for it."""
    follows = matched.words[matched.last[at] + 1 : matched.last[at] + 3]
    return not _HEALTHY.isdisjoint(matched.entries[at].qualities) and _ANYTHING.isdisjoint(follows)


def _places(
    matched: Match, clauses: Clauses, modified: Modified, span: tuple[int, int], inside: "list[int] | range"
) -> list[Whereabouts]:
    """A side begins a new pair once the one before has its place ("right upper and left lower lobes")."""
    book = lexicon()
    found: list[tuple[set[str], list[str], bool]] = []
    clause = -1
    for at in inside:
        entry = matched.entries[at]
        whole = entry.organ == "lung" and not entry.place
        if modified.states[at] & NEG or not (entry.place or entry.side or whole):
            continue
        side = entry.side if entry.side and not quantifies(matched, at) else None
        if clauses.number[at] != clause or (side and (found[-1][1] or found[-1][2])):
            clause = clauses.number[at]
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
        Whereabouts(frozenset(sides), LUNG_ZONES if lung and not places else _zones(places), span)
        for sides, places, lung in found
    ]


def _zones(places: list[str]) -> frozenset[str]:
    zones = lexicon().zones
    return frozenset(zone for place in specific(tuple(places)) for zone in zones[place])
