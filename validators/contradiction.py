"""Contradiction: a step denies what the reference asserts, or asserts what it denies.

It protects the student from learning to talk against its own report (D3 of the system this one builds on). The
reference counts as a whole: a denial that any of its sentences makes is no contradiction, and "no large effusion" is
none next to a small one. A hedged claim, a weak one, and a name that we composed are doubts at most.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .grounding import name, reference_of, said, weighed
from .rule import Case, Finder, Group, ten

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {
    "denies_reference": "doubt",
    "asserts_denied": "doubt",  # as an error it hit 3 of 140 good traces at first sight
    "hedges_denied": "doubt",
}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Claims of a step that the reference contradicts."""
    reference = reference_of(study)
    for here in said(candidate):
        claim = here.claim
        if claim.status == "absent":
            other = reference.contradicted(claim)
            if other is not None:
                yield find(
                    "denies_reference",
                    f"{here.quote!r} denies {name(other.finding)}, which the study shows; say that it is there, or "
                    f"leave it out.",
                    step=here.step,
                    span=claim.span,
                    evidence=reference.sentence(other),
                )
        elif not weighed(claim) and reference.standing(claim) == "denied":
            denial = reference.absent[claim.finding][0]
            hedged = claim.status == "uncertain" or claim.strength == "weak" or claim.composed
            yield find(
                "hedges_denied" if hedged else "asserts_denied",
                f"{here.quote!r} {'leaves open' if hedged else 'asserts'} {name(claim.finding)}, which is "
                f"denied for this study.",
                step=here.step,
                span=claim.span,
                evidence=reference.sentence(denial),
            )


_EFFUSION = """\
Technique: Chest radiograph.
View: PA
Findings: Mild cardiomegaly. Small left pleural effusion. No pneumothorax. Calcified granuloma in the right upper lobe.
Impression: Small left effusion."""

PASSES = (
    Case(ten()),
    Case(
        ten(
            {6: "There is no large effusion.", 3: "The heart is mildly enlarged.", 10: "Synthesis: small effusion."},
            _EFFUSION,
        ),
        reference=_EFFUSION,
    ),
    Case(ten({7: "An apical pneumothorax was considered, but no pleural line is visible."})),
    Case(
        ten({6: "On the right no pleural effusion is seen."}, _EFFUSION),
        None,
        _EFFUSION.replace("Mild card", "No card"),
    ),
    Case(ten({5: "A consolidation would blur the heart border, which is sharp."})),
)
FAILS = (
    Case(ten({6: "There is no pleural effusion."}, _EFFUSION), "denies_reference", _EFFUSION),
    Case(ten({3: "The heart is normal in size."}, _EFFUSION), "denies_reference", _EFFUSION),
    Case(ten({7: "A small apical pneumothorax is present."}), "asserts_denied"),
    Case(ten({6: "Blunted sulci: a small effusion is seen."}), "asserts_denied"),
    Case(ten({6: "A small pleural effusion is possible."}), "hedges_denied"),
)
