"""Words of full certainty. Knows a list of phrases, and nothing of findings."""

import re

from .steps import vocabulary

_ABSOLUTE = re.compile(
    r"\b(?:beyond (?:any |all |a )?(?:shadow of a )?doubt|without (?:any |a )?doubt|with (?:complete|absolute"
    r"|full|total) certainty"
    r"|with 100 ?% certainty|100 ?% (?:certain|sure)|unequivocal(?:ly)?|undoubted(?:ly)?|incontrovertibl[ey]"
    r"|indisputabl[ey]"
    r"|irrefutabl[ey]|conclusively|pathognomonic|unquestionabl[ey]|indubitabl[ey]|definitively (?:excluded"
    r"|proven|ruled out|confirmed)"
    r"|no other (?:cause|explanation|diagnosis) (?:needs to|need|can|could|is|remains)|proven (?:to be|beyond"
    r"|benign|malignant)"
    r"|certainly|for certain|absolutely certain|is proven|are proven|leaves no doubt|no doubt (?:that|about)"
    r"|there is no doubt)",
    re.I,
)
_TRIGGERS = frozenset(
    re.findall(
        r"\w+",
        "doubt certain certainty certainly sure unequivocal unequivocally undoubted undoubtedly incontrovertible"
        " incontrovertibly indisputable indisputably irrefutable irrefutably conclusively pathognomonic unquestionable"
        " unquestionably indubitable indubitably definitively other proven",
    )
)
_DENIED = re.compile(
    r"\b(?:not|cannot|no|without|never|far from|neither|nor|hardly|far)\s+(?:be\s+|to\s+)?(?:\w+\s+)?$", re.I
)


def absolute(text: str) -> tuple[int, int] | None:
    """The span of the first words that claim full certainty and are not themselves denied, or none."""
    if _TRIGGERS.isdisjoint(vocabulary(text)):
        return None
    for match in _ABSOLUTE.finditer(text):
        if not _DENIED.search(text[max(0, match.start() - 24) : match.start()]):
            return match.span()
    return None
