"""Coverage: what the reference has and no step speaks of, and what matters in a normal study and no step denies.

It protects against traces that reason about everything but the abnormality, and against texts that fit every normal
study. A step that denies a finding speaks of it; that is `contradiction`'s business. A finding that is missing is a
doubt, of the impression or of the findings; all of several missing is an error.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import Claim
from .findings.reference import Reference, abnormal, relations
from .grounding import name, reference_of, said
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {
    "nothing_covered": "error",
    "uncovered_finding": "doubt",
    "uncovered_detail": "doubt",  # of 93 good traces about real reports it hits none
    "normal_unsaid": "error",
    "normal_partly_unsaid": "warning",  # as a doubt it hit 7 of 259 good traces, and found no corrupted one alone
}
find = Finder(__name__, CODES)

# What a reader of any chest film looks for first, by region of the checklist.
_MATTERS = {
    "lungs": "disease of the lungs",
    "pleura": "a pleural effusion",
    "pneumothorax": "a pneumothorax",
    "cardiomediastinum": "an enlarged heart",
}
_MANY = 3  # regions that one sentence clears at once: a summary ("no acute disease of the chest")
_SEVERAL = 2  # a single finding may be named in words that the lexicon does not know
_FEW_LEFT_OUT = 1  # of those that matter


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Asserted findings, devices included, that no step speaks of; in a normal study, what no step denies."""
    if not steps_of(candidate):
        return
    reference = reference_of(study)
    claims, open_ones = list(abnormal(reference)), reference.left_open()
    if claims or open_ones:
        yield from _uncovered(reference, claims, open_ones, candidate)
    elif not any(reference.uncertain.values()):
        yield from _undenied(reference, candidate)


def _uncovered(
    reference: Reference, claims: list[Claim], open_ones: Iterable[Claim], candidate: Candidate
) -> Iterator[Finding]:
    named = mentioned(candidate)
    spoken = frozenset(here.claim.finding for here in said(candidate) if not here.claim.implied)
    missing = uncovered(claims, named)
    if len(missing) == len(claims) >= _SEVERAL and not any(_is_near(claim.finding, spoken) for claim in claims):
        names = ", ".join(name(claim.finding) for claim in claims[:5])
        yield find(
            "nothing_covered",
            f"No step speaks of anything abnormal that this study has ({names}); the steps should lead to it.",
            evidence=reference.sentence(missing[0]),
        )
        return
    concluded = {claim.finding for claim in reference.concluded() or claims}
    for claim in missing:
        yield find(
            "uncovered_finding" if claim.finding in concluded else "uncovered_detail",
            f"No step speaks of {name(claim.finding)}; one should.",
            evidence=reference.sentence(claim),
        )
    for claim in uncovered(open_ones, named):
        what = name(claim.finding)
        yield find(
            "uncovered_finding",
            f"No step speaks of {what}, which the study leaves open; one should.",
            evidence=reference.sentence(claim),
        )


def mentioned(candidate: Candidate) -> frozenset[str]:
    """The findings that the steps assert, leave open or deny; what a normal organ implies is not named, nor is what is
    weighed, sought or explained."""
    return frozenset(
        here.claim.finding for here in said(candidate) if not here.claim.implied and here.claim.strength == "explicit"
    )


def uncovered(claims: Iterable[Claim], named: frozenset[str]) -> list[Claim]:
    """Those of a reference's claims that none of the findings mentioned speaks of, by its own name or one for it."""
    same = relations().same
    return [claim for claim in claims if named.isdisjoint(same.get(claim.finding, frozenset()) | {claim.finding})]


def _is_near(finding: str, spoken: frozenset[str]) -> bool:
    """Whether the steps speak of a finding in any way, by its name, one for it, or one that it is a kind of."""
    same = relations().same
    near = same.get(finding, frozenset()) | {finding}
    return not spoken.isdisjoint(near) or any(finding in same.get(other, ()) for other in spoken)


def _undenied(reference: Reference, candidate: Candidate) -> Iterator[Finding]:
    wanted = [
        region
        for region in _MATTERS
        if any(
            claim.region == region
            for table in (reference.absent, reference.implied)
            for found in table.values()
            for claim in found
        )
    ]
    cleared: dict[tuple[int, tuple[int, int]], set[str]] = defaultdict(set)
    for here in said(candidate):
        if here.claim.status == "absent":
            cleared[here.step, here.claim.sentence].add(here.claim.region)
    matters = set(wanted)
    denied = set().union(*(regions for regions in cleared.values() if len(regions & matters) < _MANY), set())
    unsaid = [_MATTERS[region] for region in wanted if region not in denied]
    if unsaid and len(unsaid) == len(wanted):
        yield find("normal_unsaid", f"The study is normal, and no step says so: deny {', '.join(unsaid)}.")
    elif len(unsaid) > _FEW_LEFT_OUT:
        yield find("normal_partly_unsaid", f"The study is normal, and no step denies {', '.join(unsaid)}.")


_SCOLIOSIS = """\
Technique: Chest radiograph.
View: PA
Findings: Scoliosis of the thoracic spine. Calcified granuloma in the left apex. The heart is normal in size.
Impression: Scoliosis."""
_UNSAID = {
    number: f"{part} is examined from one side to the other."
    for number, part in enumerate(("The film", "The heart", "The aorta", "The trachea", "The lung", "The pleura"), 1)
}
_DENIES_LITTLE = _UNSAID | {7: "No free air lies below the diaphragm.", 8: "The bones are intact."}

PASSES = (
    Case(ten()),
    Case(ten({5: "A granuloma lies in the left apex.", 9: "The spine is curved."}, _SCOLIOSIS), None, _SCOLIOSIS),
)
FAILS = (
    Case(ten(report=_SCOLIOSIS), "nothing_covered", _SCOLIOSIS),
    Case(ten({9: "The spine is curved."}, _SCOLIOSIS), "uncovered_detail", _SCOLIOSIS),
    Case(ten({5: "A calcified granuloma is in the left apex."}, _SCOLIOSIS), "uncovered_finding", _SCOLIOSIS),
    Case(ten(_DENIES_LITTLE | {10: "Synthesis: an unremarkable film."}), "normal_unsaid"),
    Case(ten(_UNSAID | {3: "The heart is not enlarged.", 7: "The bones are intact."}), "normal_partly_unsaid"),
)
