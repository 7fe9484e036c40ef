"""A sentence read as far as its mentions: what the questions of meaning and of statement are asked of. Plain data."""

from dataclasses import dataclass

from .claim import Measurement
from .lexicon import Lexicon
from .organs import Mention
from .states import Scope
from .tagging import Tagged


@dataclass(slots=True)
class View:
    """`reserved`: it speaks of all but something. `generic`: it speaks of a kind, not of this patient."""

    tagged: Tagged
    scope: Scope
    mentions: list[Mention]
    book: Lexicon
    measurements: tuple[Measurement, ...]
    reserved: bool = False
    generic: bool = False
