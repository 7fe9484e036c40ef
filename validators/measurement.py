"""Measurement: a step states a number that the reference does not have.

It protects against invented precision. Numbers are compared with their units (4 cm is 40 mm); counts, levels and
projections are not measurements.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import may_measure, measurements
from .findings.text import lower
from .grounding import reference_of
from .rule import Case, Finder, Group, ten
from .steps import steps_of, vocabulary

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"unsupported_measurement": "error"}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Measurements of a step that are not the reference's."""
    known = {(found.value, found.unit) for found in reference_of(study).measurements}
    for position, text in steps_of(candidate):
        for found in measurements(lower(text)) if may_measure(vocabulary(text)) else ():
            if (found.value, found.unit) not in known:
                yield find(
                    "unsupported_measurement",
                    f"{found.text!r} is not a measurement of this study; leave the number out.",
                    step=position,
                    span=found.span,
                )


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
    Case(ten({3: "The heart spans twelve centimeters."}), "unsupported_measurement"),
)
