"""Severity: a step makes a finding of the reference much larger or smaller than it is.

It protects against a small effusion that becomes a large one on its way through the steps. Neighbouring words (small,
mild; moderate, large) are one reader's choice and pass; two grades apart is an error.

False alarms: none of the 20,702 sentences of 3,425 real reports (Open-i), each a step against its own report.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .grounding import name, reference_of, said
from .rule import Case, Finder, Group, ten

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"wrong_size": "error"}
find = Finder(__name__, CODES)

_GRADES = {"tiny": 0, "borderline": 0, "small": 1, "mild": 1, "moderate": 2, "large": 3, "severe": 3}


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Sizes and degrees that are two grades off every one that the reference gives for the finding."""
    reference = reference_of(study)
    for here in said(candidate):
        claim = here.claim
        if claim.status == "absent" or claim.size not in _GRADES:
            continue
        others = [other for other in reference.asserted((claim.finding,)) if other.size in _GRADES]
        if others and all(abs(_GRADES[claim.size] - _GRADES[other.size or ""]) > 1 for other in others):
            yield find(
                "wrong_size",
                f"{here.quote!r}: {name(claim.finding)} is {others[0].size} in this study, not {claim.size}.",
                step=here.step,
                span=claim.span,
                evidence=reference.sentence(others[0]),
            )


_SMALL = """\
Technique: Chest radiograph.
View: PA
Findings: Small left pleural effusion.
Impression: Small effusion."""

PASSES = (Case(ten()), Case(ten({6: "A mild left pleural effusion is seen."}, _SMALL), None, _SMALL))
FAILS = (Case(ten({6: "A large left pleural effusion is seen."}, _SMALL), "wrong_size", _SMALL),)
