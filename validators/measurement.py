"""Measurement: a step states a number that the reference does not have.

It protects against invented precision. Numbers are compared with their units (4 cm is 40 mm); counts, levels and
projections are not measurements.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import may_measure, measurements
from .findings.measure import UNIT
from .grounding import reference_of
from .patterns import Patterns
from .rule import Case, Finder, Group, ten
from .steps import steps_of, vocabulary

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"unsupported_measurement": "error", "unsupported_number": "doubt"}
find = Finder(__name__, CODES)

_DECIMAL = Patterns(rf"(?<![\d.,])\d{{0,5}}\.\d{{1,4}}(?![\d.]|[\s-]?(?:{UNIT})(?![a-z]))")


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Measurements of a step that are not the reference's."""
    known = {(found.value, found.unit) for found in reference_of(study).measurements}
    decimals: set[str] | None = None
    for position, text in steps_of(candidate):
        for found in measurements(text) if may_measure(vocabulary(text)) else ():
            if (found.value, found.unit) not in known:
                yield find(
                    "unsupported_measurement",
                    f"{found.text!r} is not a measurement of this study; leave the number out.",
                    step=position,
                    span=found.span,
                )
        for bare in _DECIMAL.finditer(text):
            decimals = {_value(match) for match in _DECIMAL.finditer(study.report)} if decimals is None else decimals
            if _value(bare) not in decimals:
                yield find(
                    "unsupported_number",
                    f"{bare.group()!r} is no number of this study; leave it out.",
                    step=position,
                    span=bare.span(),
                )


def _value(number: re.Match[str]) -> str:
    return number.group().lstrip("0")


_NODULE = """\
Technique: Chest radiograph.
View: PA
Findings: A 4.2 cm mass in the right upper lobe.
Impression: Mass."""

PASSES = (
    Case(ten()),
    Case(ten({5: "The mass in the right upper lobe measures 42 mm."}, _NODULE), None, _NODULE),
    Case(ten({1: "Ten posterior ribs are counted, and two views were taken."})),
)
FAILS = (
    Case(ten({5: "The mass in the right upper lobe measures 4.5 cm."}, _NODULE), "unsupported_measurement", _NODULE),
    Case(ten({3: "The cardiothoracic ratio is 0.45, which is normal."}), "unsupported_measurement"),
    Case(ten({3: "The heart takes up 0.66 of the chest."}), "unsupported_number"),
    Case(ten({3: "The heart spans twelve centimeters."}), "unsupported_measurement"),
)
