"""Words of full certainty. Knows a list of phrases, and nothing of findings."""

import re

from .patterns import Patterns

_FREE = (
    r"(?:beyond|without|past|outside|no|with no|free of|there (?:is|can be) no"
    r"|leav(?:es?|ing) (?:us |me )?(?:no|little|not a))"
)
_ANY = (
    r"(?:room for |reason for |shadow of |shred of |trace of |any |all |a |the |reasonable |possible |serious |least "
    r"|slightest |further |real )*"
)
_DOUBT = r"(?:doubt|question|dispute|uncertainty|hesitation|ambiguity|reservation)"
_PHRASES = (
    rf"{_FREE} {_ANY}{_DOUBT}\b(?! (?:of|as to whether|whether|arises))",
    r"(?:with|in) (?:\w+ )?(?:complete|absolute|full|total|utter|perfect|entire) (?:certainty|confidence|assurance)",
    r"(?:100 ?|one hundred |a hundred )(?:%|percent|per cent) (?:\w+ )?(?:certain\w*|sure|confiden\w+)",
    r"(?:unequivocal|undoubted|unquestionable|indubitable|undeniable|unmistakable|indisputable|incontrovertible"
    r"|irrefutable|incontestable)\b",
    r"(?:unequivocal|undoubted|incontestab|unquestionab|indubitab|undeniab|unmistakab|indisputab|incontrovertib"
    r"|irrefutab)ly\b",
    r"(?:certain(?:ly|ty)?|(?<!to )(?:prove[sn]?|establish(?:es|ed)?|confirm(?:s|ed)?)|proof|definitively"
    r"|definite(?:ly)?(?![^.;]*\b(?:not|cannot)\b)"
    r"|conclusive(?:ly)?|surely|assuredly|pathognomonic|diagnostic of)\b",
    r"(?:am|are|feel) (?:quite |very |absolutely )?(?:sure|certain|positive)\b",
    r"(?:absolutely|entirely|completely|wholly|quite|fully) (?:certain|sure|positive)\b",
    r"(?:cannot|can't|can not|could not) (?:possibly )?be (?:anything|something|any other|other)\b",
    r"can only be (?:an?|the|due|explained|caused|called)\b|nothing else (?:is possible|can|could|would|will|than)\b",
    r"only one (?:explanation|reading|cause|diagnosis|answer|interpretation)\b|(?:period|full stop)(?=[,.;])",
    r"no room (?:left|remains|for (?:another|other|any other))\b",
    r"no other (?:cause|explanation|diagnosis|reading|interpretation|possibility|way)s? "
    r"(?:needs to|need|can|could|is|are|remains|exists|fits|deserves|to|possible|conceivable|imaginable)\b",
    r"(?:settles?|settled|decides?|closes?|clinches?) (?:the|this|that) "
    r"(?:matter|question|issue|case|diagnosis)\b(?! of)",
    r"(?:ruled out|excluded|eliminated) (?:completely|entirely|absolutely|altogether|totally|once and for all)\b",
)
_ABSOLUTE = Patterns(*(rf"\b(?:{phrase})" for phrase in _PHRASES))
_DENIED = (
    r"(?i)(?:\b(?:not|cannot|no|without|never|far from|short of|nothing|none|neither|nor|hardly|far|less than"
    r"|rather than|could|would|might|may"
    r"|too \w+ to)\b|n't\b)"
    r"[^.;,:]*$|\b(?:rais|pos|open)\w*\s*$"
)
_BEFORE = 40  # characters in which a denial of the words stands


def absolute(text: str) -> tuple[int, int] | None:
    """The span of the first words that claim full certainty and are not themselves denied, or none."""
    for match in _ABSOLUTE.finditer(text):
        if not re.search(_DENIED, text[max(0, match.start() - _BEFORE) : match.start()]):
            return match.span()
    return None
