"""Measurements: numbers with a unit. Knows units of length, volume, angle, share and gauge; nothing of what is
measured."""

from ..patterns import Patterns
from .claim import Measurement

_NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
}  # fmt: skip
# unit as written -> (canonical unit, factor)
_UNITS = {
    "mm": ("mm", 1.0), "millimeter": ("mm", 1.0), "millimetre": ("mm", 1.0), "cm": ("mm", 10.0),
    "centimeter": ("mm", 10.0), "centimetre": ("mm", 10.0), "inch": ("mm", 25.4), "inche": ("mm", 25.4),
    "%": ("%", 1.0), "percent": ("%", 1.0),
    "ml": ("ml", 1.0), "cc": ("ml", 1.0), "milliliter": ("ml", 1.0), "millilitre": ("ml", 1.0), "liter": ("ml", 1000.0),
    "litre": ("ml", 1000.0), "degree": ("degree", 1.0), "°": ("degree", 1.0), "fr": ("french", 1.0),
    "french": ("french", 1.0),
    "cardiothoracic ratio": ("ratio", 1.0), "hounsfield": ("hu", 1.0), "hu": ("hu", 1.0),
}  # fmt: skip
_NUMBER = r"\d{1,6}(?:[.,]\d{1,4})?"
_WORDS = "|".join(_NUMBER_WORDS)
_UNIT = (
    r"mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|inch(?:es)?|%|percent|ml|cc|millilit(?:er|re)s?|lit(?:er|re)s?"
    r"|degrees?|°|french|fr|hounsfield|hu"
)
_MEASURE = Patterns(
    rf"(?<![\w.,])(?P<first>{_NUMBER})(?:\s?(?:x|×|by|-|–|to|and|or)\s?(?P<second>{_NUMBER}))?"
    rf"(?:\s?(?:x|×|by)\s?(?P<third>{_NUMBER}))?[\s-]?(?P<unit>{_UNIT})(?![a-z])"
    rf"|\b(?P<word>{_WORDS})(?:\s|-)(?P<wunit>{_UNIT})(?![a-z])"
    rf"|\bratio (?:[a-z]+ ){{0,4}}?(?P<ratio>0?\.\d{{1,3}}"
    rf"|\d{{1,2}}(?:\.\d+)?(?=\s?(?::|to)\s?\d))"
)


def measurements(low: str) -> tuple[Measurement, ...]:
    """All measurements in a lower-case text; "3 x 1 mm" is two of them, one for each number."""
    found = []
    for match in _MEASURE.finditer(low):
        if match["ratio"]:
            numbers, unit = [match["ratio"]], "cardiothoracic ratio"
        elif match["word"]:
            numbers, unit = [str(_NUMBER_WORDS[match["word"]])], match["wunit"]
        else:
            numbers = [number for number in (match["first"], match["second"], match["third"]) if number]
            unit = match["unit"]
        name, factor = _UNITS.get(unit) or _UNITS[unit.rstrip("s")]
        for number in numbers:
            value = round(float(number.replace(",", ".")) * factor, 3)
            found.append(Measurement(value, name, match.span(), match.group()))
    return tuple(found)
