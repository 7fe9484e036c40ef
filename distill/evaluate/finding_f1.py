"""F1 of what reports assert, from our own finding labels: always available, no weights. Not CheXbert's figures.

chexpert.tsv says which of our findings count as which of the 14 labels. A finding that a report asserts or leaves
open is positive, as in CheXbert-F1; one that it considers and rejects is not.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ...schemas.version import __version__
from ...validators.findings import claims
from .labels import LABELS, Positive, f1_measures
from .measure import Measure, Pair

_TABLE = Path(__file__).parent / "chexpert.tsv"
_DEVICES, _NONE = LABELS.index("Support Devices"), LABELS.index("No Finding")
OUTSIDE = "-"


@cache
def table() -> dict[str, frozenset[str]]:
    """The findings of each label, and under `-` those of none."""
    lines = (line.split("\t") for line in _TABLE.read_text("utf-8").splitlines() if not line.startswith("#"))
    return {label: frozenset(names.split()) for label, names in lines}


def positive(text: str) -> list[bool]:
    """Which of the 14 labels a report has."""
    said = [claim for claim in claims(text) if claim.status != "absent"]
    names = {claim.finding for claim in said if not claim.device}
    found = [not names.isdisjoint(table()[label]) for label in LABELS]
    found[_NONE] = bool(text.strip()) and not any(found)  # an empty text does not say that there is nothing
    found[_DEVICES] = any(claim.device for claim in said)
    return found


def finding_f1(pairs: Sequence[Pair]) -> list[Measure]:
    """Finding-F1 over 14 and 5 labels, micro and macro, and of each label."""
    hypotheses = _labelled([pair.hypothesis for pair in pairs])
    references = _labelled([pair.reference for pair in pairs])
    described = "claims of validators.findings as CheXpert labels; uncertain counts as positive"
    return f1_measures("Finding-F1", hypotheses, references, ("tenstep", __version__, described))


def _labelled(texts: Sequence[str]) -> Positive:
    return np.array([positive(text) for text in texts], dtype=np.bool_).reshape(len(texts), len(LABELS))
