"""What a sentence of a chest X-ray report, or of a reasoning step, asserts.

    claims(text)                   every finding, device and normal organ, with status, side, place and size
    sentences(text)                spans of the sentences
    is_off_topic(text)             whether it speaks of nothing that a chest film shows
    region_of(sentence)            the part of the reading checklist that a sentence is about
    compares_with_prior(sentence)  whether it speaks of an earlier examination
    trends(sentence)               in which directions things have changed, by its words
    measurements(text)             numbers with a unit, as `mm`, `ml`, `%`, ...

The lexicon is the TSV files of this folder: findings, devices, organs and what is said of them, places, sides, cues.
Nothing here knows of studies, traces or rules.
"""

from .claim import REGIONS, Claim, Region, Side, Status, Strength
from .claims import claims
from .compares import compares_with_prior, comparison, trends
from .measure import Measurement, may_measure, measurements
from .referring import referring
from .text import sentences
from .topic import is_off_topic, region_of

__all__ = [
    "REGIONS",
    "Claim",
    "Measurement",
    "Region",
    "Side",
    "Status",
    "Strength",
    "claims",
    "compares_with_prior",
    "comparison",
    "is_off_topic",
    "may_measure",
    "measurements",
    "referring",
    "region_of",
    "sentences",
    "trends",
]
