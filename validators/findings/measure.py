"""Measurements: numbers with a unit. Knows units of length, volume, angle, share and gauge; nothing of what is
measured."""

import re
from collections.abc import Collection
from operator import itemgetter
from typing import NamedTuple

from ..memory import remember
from ..patterns import Patterns
from ..steps import vocabulary
from .text import lower


class Measurement(NamedTuple):
    """A number with its unit, as written and in one unit per quantity (mm, %, ml, degrees, French)."""

    value: float
    unit: str
    span: tuple[int, int]
    text: str


_NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
}  # fmt: skip
_MEASURING, _DIGITS, _FIRST = frozenset({*_NUMBER_WORDS, "ratio"}), frozenset("0123456789"), itemgetter(0)
# unit as written -> (canonical unit, factor)
_UNITS = {
    "mm": ("mm", 1.0), "millimeter": ("mm", 1.0), "millimetre": ("mm", 1.0), "cm": ("mm", 10.0),
    "centimeter": ("mm", 10.0), "centimetre": ("mm", 10.0), "inch": ("mm", 25.4), "inche": ("mm", 25.4),
    "%": ("%", 1.0), "percent": ("%", 1.0),
    "ml": ("ml", 1.0), "cc": ("ml", 1.0), "milliliter": ("ml", 1.0), "millilitre": ("ml", 1.0), "liter": ("ml", 1000.0),
    "litre": ("ml", 1000.0), "degree": ("degree", 1.0), "°": ("degree", 1.0), "fr": ("french", 1.0),
    "french": ("french", 1.0),
    "hounsfield": ("hu", 1.0), "hu": ("hu", 1.0),
}  # fmt: skip
_NUMBER = r"\d\d{0,5}(?:[.,]\d{1,4})?"
_WORDS = "|".join(_NUMBER_WORDS)
UNIT = (
    r"mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|inch(?:es)?|%|percent|ml|cc|millilit(?:er|re)s?|lit(?:er|re)s?"
    r"|degrees?|°|french|fr|hounsfield|hu"
)
# It opens with a digit, so that the search can skip to one; what may not stand before it is looked at afterwards.
_IN_DIGITS = re.compile(
    rf"(?P<first>{_NUMBER})(?:\s?(?:x|×|by|-|–|to|and|or)\s?(?P<second>{_NUMBER}))?"
    rf"(?:\s?(?:x|×|by)\s?(?P<third>{_NUMBER}))?[\s-]?(?P<unit>{UNIT})(?![a-z])"
)
_INSIDE_WORD = re.compile(r"[\w.,]")
_IN_WORDS = Patterns(rf"\b(?P<first>{_WORDS})(?:\s|-)(?P<unit>{UNIT})(?![a-z])")
_RATIO = Patterns(r"\bratio (?:[a-z]+ ){0,4}?(?P<first>0?\.\d{1,3}|\d{1,2}(?:\.\d+)?(?=\s?(?::|to)\s?\d))")


def may_measure(words: Collection[str]) -> bool:
    """Whether a sentence of these words can hold a measurement; quick."""
    return not (_MEASURING.isdisjoint(words) and _DIGITS.isdisjoint(map(_FIRST, words)))


@remember(250_000, cost=lambda found: 200 * len(found))
def measurements(text: str) -> tuple[Measurement, ...]:
    """All measurements in a text, in lower case; "3 x 1 mm" is two of them, one for each number."""
    low = lower(text)
    found = [
        measure
        for match in _IN_DIGITS.finditer(low)
        if not _INSIDE_WORD.match(low[match.start() - 1 : match.start()])
        for measure in _read(match, [number for number in match.group("first", "second", "third") if number])
    ]
    spelled = not _MEASURING.isdisjoint(vocabulary(text))
    for match in _IN_WORDS.finditer(low) if spelled else ():
        found += _read(match, [str(_NUMBER_WORDS[match["first"]])])
    for match in _RATIO.finditer(low) if spelled else ():
        found.append(Measurement(round(float(match["first"]), 3), "ratio", match.span(), match.group()))
    return tuple(sorted(found, key=lambda measure: measure.span))


def _read(match: re.Match[str], numbers: list[str]) -> list[Measurement]:
    name, factor = _UNITS.get(match["unit"]) or _UNITS[match["unit"].rstrip("s")]
    return [
        Measurement(round(float(number.replace(",", ".")) * factor, 3), name, match.span(), match.group())
        for number in numbers
    ]
