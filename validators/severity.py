"""Severity: a step makes a finding of the reference larger, smaller, or of another number than it is.

It protects against a small effusion that becomes a large one on its way through the steps. Two grades apart is an
error; a neighbouring grade (mild, moderate) may be one reader's choice and is a doubt, and so is another number.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings.claims import MANY
from .findings.reference import Reference
from .grounding import Said, name, reference_of, said, said_of_it
from .rule import Case, Finder, Group, ten

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"wrong_size": "error", "other_size": "doubt", "wrong_count": "doubt"}
find = Finder(__name__, CODES)

_GRADES = {"tiny": 0, "borderline": 0, "small": 1, "mild": 1, "moderate": 2, "large": 3, "severe": 3}


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Sizes, degrees and numbers that agree with none that the reference gives for the finding."""
    reference = reference_of(study)
    for here in (*said(candidate), *said_of_it(candidate)):
        if here.claim.status != "absent":
            yield from _graded(reference, here)
            yield from _counted(reference, here)


def _graded(reference: Reference, here: Said) -> Iterator[Finding]:
    claim = here.claim
    if claim.size not in _GRADES:
        return
    others = [other for other in reference.asserted((claim.finding,)) if other.size in _GRADES]
    distance = min((abs(_GRADES[claim.size] - _GRADES[other.size or ""]) for other in others), default=0)
    if distance:
        yield find(
            "wrong_size" if distance > 1 else "other_size",
            f"{here.quote!r}: {name(claim.finding)} is {others[0].size} in this study, not {claim.size}.",
            step=here.step,
            span=claim.span,
            evidence=reference.sentence(others[0]),
        )


def _counted(reference: Reference, here: Said) -> Iterator[Finding]:
    claim = here.claim
    others = [other for other in reference.asserted((claim.finding,)) if other.number is not None]
    if claim.number is not None and others and all(not _alike(claim.number, other.number or 0) for other in others):
        yield find(
            "wrong_count",
            f"{here.quote!r}: the study has another number of {name(claim.finding)}.",
            step=here.step,
            span=claim.span,
            evidence=reference.sentence(others[0]),
        )


def _alike(count: int, other: int) -> bool:
    return count == other or (MANY in (count, other) and min(count, other) > 1)


_SMALL = """\
Technique: Chest radiograph.
View: PA
Findings: Small left pleural effusion. Two nodules in the right lung.
Impression: Small effusion."""

PASSES = (Case(ten()), Case(ten({6: "A mild left pleural effusion is seen."}, _SMALL), None, _SMALL))
FAILS = (
    Case(ten({6: "A large left pleural effusion is seen."}, _SMALL), "wrong_size", _SMALL),
    Case(ten({6: "A moderate left pleural effusion is seen."}, _SMALL), "other_size", _SMALL),
    Case(ten({5: "Three nodules are seen."}, _SMALL), "wrong_count", _SMALL),
)
