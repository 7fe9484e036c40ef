"""Opposites: the parts, things and sizes that a sentence names, with its words of side, level, degree and number."""

from collections.abc import Iterator
from functools import cache
from itertools import filterfalse
from typing import NamedTuple

from ..memory import remember
from .clauses import BACKWARD, FORWARD
from .lexicon import CUES, Entry, lexicon
from .match import Match
from .measure import may_measure, measurements
from .modifiers import SOUGHT, parsed

# Of each kind a thing has one, or the reference says more.
_KINDS = (
    ("left", "right"),
    ("upper", "middle", "lower"),
    ("ascending", "descending"),
    ("cervical", "thoracic", "lumbar"),
    ("high", "low"),
    ("anterior", "posterior"),
    ("superior", "inferior"),
    ("medial", "lateral"),
    ("proximal", "distal"),
    ("increase", "decrease"),
    ("aortic", "mitral", "tricuspid", "pulmonic"),
)
_KIND_OF = {word: kind for kind, words in enumerate(_KINDS) for word in words}
_SAME = {"increased": "increase", "decreased": "decrease"}
_OPPOSED = frozenset(_KIND_OF.keys() | _SAME.keys())
SIDE, _LEVEL, _DEGREE, _NUMBER = 0, 1, len(_KINDS), len(_KINDS) + 1
_LEVELS = {"apex": "upper", "upper": "upper", "mid": "middle", "lower": "lower"}  # by the zones of a place
_GRADES = {
    "tiny": "slight", "borderline": "slight", "small": "slight", "mild": "slight", "moderate": "moderate",
    "large": "severe", "severe": "severe",
}  # fmt: skip
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {str(number): word for number, word in enumerate(_NUMBERS, 1)}
_SINGLE = frozenset({"single", "solitary", "sole", "lone"})
_VAGUE = frozenset({"several", "multiple", "many", "numerous", "innumerable", "multilevel"})
_TWO = frozenset({"both", "bilateral", "dual", "pair", "double", "bibasilar", "biapical"})
_COUNTING = _SINGLE | _VAGUE | _TWO | _DIGITS.keys() | {*_NUMBERS}
_COUNTED = 2  # words from "one" to what it counts, else it stands for something
_NAMELESS = frozenset({"side", "chest", "part", "area", "region", "view", "portion"}) | _KIND_OF.keys()
_NO_THINGS = frozenset({"chest", "lung"})  # organs that everything is in
_ON_BOTH_SIDES = frozenset({"lung", "heart"})  # of any film
_EXTENTS = frozenset({"volume", "lobe", "zone"})  # words of parts that are no part alone
_HEALTHY = frozenset({"normal", "clear", "expanded", "sharp", "intact", "midline"})
_NAME = 4  # letters
_NOT_SAID = (FORWARD | BACKWARD) & ~(CUES["unc_pre"] | CUES["unc_adj"] | CUES["unc_post"])

_MEMORY, _KIND = 500_000, 100  # bytes in all, and of one answer of several, about
Opposites = dict[int, set[str]]  # of each kind that a sentence has words of, these words


@remember(_MEMORY, cost=lambda found: _KIND * len(found))
def opposites(sentence: str) -> Opposites:
    """The words of opposites in a sentence, those of one kind brought to the same ("slight" for "small")."""
    found = parsed(sentence)[0]
    words: Opposites = {}
    for word in filter(_OPPOSED.__contains__, found.words):
        same = _SAME.get(word, word)
        words.setdefault(_KIND_OF[same], set()).add(same)
    for entry in found.entries if found.cues & CUES["located"] else ():
        for kind, given in _given(entry.side, entry.size, entry.place):
            words.setdefault(kind, set()).update(given)
    if numbers := set(_numbers(found)):
        words[_NUMBER] = numbers
    elif any(entry.finding and _is_plural(sentence, found, at) for at, entry in enumerate(found.entries)):
        words[_NUMBER] = {*_NUMBERS[1:], "several"}  # any but one
    return words


@cache
def _given(side: str | None, size: str | None, place: str | None) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The opposites that a phrase gives, by their kinds."""
    sides = _KINDS[SIDE] if side == "bilateral" else (side,) if side else ()
    levels = tuple(_LEVELS[zone] for zone in lexicon().zones[place] if zone in _LEVELS) if place else ()
    sizes = (_GRADES.get(size, size),) if size else ()
    return tuple((kind, words) for kind, words in ((SIDE, sides), (_DEGREE, sizes), (_LEVEL, levels)) if words)


def _numbers(found: Match) -> Iterator[str]:
    """Numbers as words, "several" for those that are not exact; "both" may be two or several, and allows either."""
    if _COUNTING.isdisjoint(found.words):
        return
    vague = not _VAGUE.isdisjoint(found.words)
    for at, word in enumerate(found.words):
        if found.words[at + 1 : at + 2] == [":"]:
            continue  # "one: ..., two: ..."
        if word in _SINGLE or (word == "one" and _counts(found, at)):
            yield "one"
        elif word in _NUMBERS[1:]:
            yield word
        elif word in _DIGITS and _noun(found, at + 1):
            yield _DIGITS[word]
        elif word in _VAGUE:
            yield "several"
        elif word in _TWO and not vague:
            yield from ("two", "several")


def _is_plural(sentence: str, found: Match, at: int) -> bool:
    last = found.last[at]
    plural = sentence[found.ends[last] - 1] in "sS"
    return plural and sentence[found.starts[last] : found.ends[last]].lower() != found.words[last]


def _counts(found: Match, at: int) -> bool:
    return any(
        at < first <= at + _COUNTED and (entry.finding or entry.organ)
        for first, entry in zip(found.first, found.entries, strict=True)
    )


def _noun(found: Match, at: int) -> str | None:
    """The word at a position if it can be what a number counts."""
    word = found.words[at] if at < len(found.words) else ""
    return word if len(word) >= _NAME and word.isalpha() and word not in _KIND_OF else None


@remember(_MEMORY, cost=lambda found: _KIND * len(found))
def things(sentence: str) -> tuple[str, ...]:
    """What a sentence names: words of the lexicon for parts, findings and devices, and those that it does not know; its
    findings, devices and parts by their names; what it counts; its measurements."""
    found, idle = parsed(sentence)[0], _idle()
    words = filterfalse(idle.__contains__, dict.fromkeys(found.words))
    named = dict.fromkeys(name for entry in found.entries for name in _names(entry.finding, entry.organ))
    measures = measurements(sentence) if may_measure(found.words) else ()
    return (
        *(word for word in words if len(word) >= _NAME and word.isalpha()),
        *named,
        *(f"{measure.value:g} {measure.unit}" for measure in measures),
    )


@cache
def _idle() -> frozenset[str]:
    """The words of the lexicon that name nothing."""
    return (lexicon().vocabulary - lexicon().topics - _EXTENTS) | _NAMELESS


@cache
def _names(finding: str | None, organ: str | None) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in (finding, organ) if name and name not in _NO_THINGS)


def is_of_any_side(name: str, kind: int) -> bool:
    """Whether a thing is on both sides of any film, so that a side of it tells nothing; nor does a size of the lung,
    that everything is in."""
    return (kind == SIDE and name in _ON_BOTH_SIDES) or (kind == _DEGREE and name in _NO_THINGS)


class Tone(NamedTuple):
    """How a sentence speaks.

    `plain` asks, denies and supposes nothing, and calls nothing healthy; `said` are the phrases in its plain clauses.
    """

    plain: bool
    said: tuple[Entry, ...]


@remember(_MEMORY, cost=lambda tone: _KIND * (1 + len(tone.said)))
def tone(sentence: str) -> Tone:
    """How a sentence speaks."""
    found, clauses, modified = parsed(sentence)
    numbered = list(zip(found.entries, clauses.number, strict=True))
    said = {number for one, number in numbered if one.cues & _NOT_SAID or not _HEALTHY.isdisjoint(one.qualities)}
    said |= {number for number, state in zip(clauses.number, modified.states, strict=True) if state & SOUGHT}
    plain = not sentence.endswith("?") and not said
    return Tone(plain, tuple(entry for entry, number in numbered if number not in said))
