"""Coverage: findings of the reference that no step mentions. A warning: a trace may leave out what is minor.

It protects against traces that reason about everything but the abnormality. A step that denies a finding mentions it;
that is `contradiction`'s business.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings.reference import abnormal, relations
from .grounding import name, reference_of, said
from .rule import Case, Finder, Group, ten

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"uncovered_finding": "warning"}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Asserted findings of the reference, devices included, that nothing in the steps speaks of."""
    mentioned = {here.claim.finding for here in said(candidate)}
    if not mentioned:
        return
    reference, table = reference_of(study), relations()
    for claim in abnormal(reference):
        finding = claim.finding
        near = table.same.get(finding, frozenset()) | table.related.get(finding, frozenset()) | {finding}
        if mentioned.isdisjoint(near) and not any(finding in table.same.get(other, ()) for other in mentioned):
            yield find(
                "uncovered_finding",
                f"No step speaks of {name(finding)}; one should.",
                evidence=reference.sentence(claim),
            )


_SCOLIOSIS = """\
Technique: Chest radiograph.
View: PA
Findings: Scoliosis of the thoracic spine. The heart is normal in size.
Impression: Scoliosis."""

PASSES = (Case(ten()), Case(ten({9: "The spine is curved to the right."}, _SCOLIOSIS), None, _SCOLIOSIS))
FAILS = (Case(ten(report=_SCOLIOSIS), "uncovered_finding", _SCOLIOSIS),)
