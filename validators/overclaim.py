"""Words of full certainty. Knows a list of phrases, and nothing of findings."""

import re

from .steps import vocabulary

_FREE = r"(?:beyond|without|past|outside|leav(?:es?|ing) (?:us |me )?(?:no|little|not a)|there (?:is|can be) no|no|with no|free of)"
_DOUBT = r"(?:doubt|question|dispute|uncertainty|hesitation|argument|ambiguity|reservation)"
_ABSOLUTE = re.compile(
    rf"\b(?:{_FREE} (?:room for |reason for |shadow of |any |all |a |the |reasonable |possible |serious |least |"
    rf"slightest |shred of |trace of |real |further )*{_DOUBT}\b(?! (?:of|as to whether|whether|arises))"
    r"|(?:with|in) (?:\w+ )?(?:complete|absolute|full|total|utter|perfect|entire) (?:certainty|confidence|assurance)"
    r"|100 ?(?:%|percent|per cent) (?:\w+ )?(?:certain\w*|sure|confiden\w+)"
    r"|(?:unequivocal|undoubted|unquestionable|indubitable|undeniable|unmistakable|indisputable|incontrovertible"
    r"|irrefutable|incontestable)\b"
    r"|(?:unequivocal|undoubted|incontestab|unquestionab|indubitab|undeniab|unmistakab|indisputab|incontrovertib"
    r"|irrefutab)ly\b"
    r"|definitely (?!no\b|not|normal|clear|absent|exclude|tell|call|say|diagnos|state|establish)\w+|(?:am|are|feel) (?:quite |very |absolutely )?(?:sure|certain|positive)\b|only one (?:explanation|reading|cause|diagnosis|answer|interpretation)|(?:period|full stop)(?=[,.;])|no room (?:left|remains) for (?!doubt)\w+|no other (?:cause|explanation|reading|diagnosis|way)s? (?:is |are |to )?(?:possible|conceivable|imaginable|read|explain)|conclusively|pathognomonic|diagnostic of|definitively|certainly|assuredly|for (?:certain|sure)\b"
    r"|(?:absolutely|entirely|completely|wholly|quite|fully) (?:certain|sure|positive)\b"
    r"|(?:regard|consider|call|take|treat)\w* (?:the |this |that |it )(?:\w+ )?(?:as )?(?:certain|proven|settled)\b"
    r"|(?:is|are|as|now|be|been|stands) (?:thereby |thus |now |hereby )?(?:proven|certain(?! that the)|established|a certainty"
    r"|beyond debate)\b|\b(?:the|a|therefore|thus|thereby|hence|it) proven\b|\bproven (?:to be|beyond|benign|malignant|cause|source|diagnosis)|(?<!could )(?<!would )(?<!might )(?<!may )\bproves? (?:it|this|the"
    r"|to be)\b|\bproof (?:of|that)\b"
    r"|(?:cannot|can't|can not|could not) (?:possibly )?be (?:anything|something|any other|other)\b"
    r"|\bcan only be\b|\bnothing else (?:is possible|can|could|would|will|than)\b|\bno other "
    r"(?:cause|explanation|diagnosis|reading|interpretation|possibility) "
    r"(?:needs to|need|can|could|is|remains|exists|fits|deserves)\b"
    r"|\b(?:settles?|settled|decides?|closes?|clinches?) (?:the|this|that) (?:matter|question|issue|case|diagnosis|point)\b"
    r"|\b(?:ruled out|excluded|eliminated) (?:completely|entirely|absolutely|altogether|totally|once and for all))",
    re.I,
)
_TRIGGERS = frozenset(
    re.findall(
        r"\w+",
        "doubt question dispute uncertainty hesitation argument ambiguity reservation certainty confidence assurance 100 "
        "conclusively definitely am are feel one period full stop room pathognomonic diagnostic definitively certainly assuredly certain sure positive proven settled "
        "established debate proves prove proof anything something other only nothing no settles decides decided closes "
        "clinches completely entirely absolutely altogether totally once",
    )
)
_STEM = re.compile(
    r"un(?:equivocal|doubted|questionab|deniab|mistakab)|in(?:dubitab|disputab|controvertib|contestab)|irrefutab", re.I
)
_DENIED = re.compile(
    r"(?:\b(?:not|cannot|no|without|never|far from|short of|nothing|none|neither|nor|hardly|far|less than)\b|n't\b)"
    r"[^.;,:]*$",
    re.I,
)
_BEFORE = 40  # characters in which a denial of the words stands


def absolute(text: str) -> tuple[int, int] | None:
    """The span of the first words that claim full certainty and are not themselves denied, or none."""
    if _TRIGGERS.isdisjoint(vocabulary(text)) and _STEM.search(text) is None:
        return None
    for match in _ABSOLUTE.finditer(text):
        if not _DENIED.search(text[max(0, match.start() - _BEFORE) : match.start()]):
            return match.span()
    return None
