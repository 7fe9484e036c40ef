"""Certainty: a step is sure where the reference hedges, or doubts what it asserts.

It protects the calibration of what the student says. "Definitely", "proven", "beyond doubt" need a reference that
asserts the finding; a plain assertion of what is only possible is a doubt in the conclusion and nothing before it; a
step may hedge on its way to a certain conclusion, but the conclusion may not.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings.reference import Reference, relations
from .grounding import Said, concludes, name, reference_of, said
from .overclaim import absolute
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {
    "overstated": "error",
    "overclaimed": "doubt",  # as an error it hit 3 of 140 good traces at first sight
    "understated": "error",
    "hedge_dropped": "warning",
    "rules_out_open": "error",
}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Claims that are surer, or less sure, than the reference; and words of full certainty without any ground."""
    reference = reference_of(study)
    marked: set[int] = set()
    for here in said(candidate):
        for finding in _judge(reference, here) if not here.claim.implied else ():
            if finding.severity == "error":
                marked.add(here.step)
            yield finding
    for position, text in steps_of(candidate):
        span = absolute(text)
        if span and position not in marked and absolute(study.report) is None:
            yield find(
                "overclaimed",
                f"{text[span[0] : span[1]]!r} claims more certainty than a radiograph gives; say it plainly.",
                step=position,
                span=span,
            )


def _judge(reference: Reference, here: Said) -> Iterator[Finding]:
    claim = here.claim
    if claim.status != "present" and not (claim.certain or claim.doubted):
        return
    quote, what = here.quote, name(claim.finding)
    same = relations().same.get(claim.finding, frozenset((claim.finding,)))
    firm = [other for kind in sorted(same) for other in reference.present.get(kind, ())]
    loose = reference.uncertain.get(claim.finding, ())
    code = message = ""
    if claim.status == "present" and claim.certain and not (loose or firm or claim.strength == "weak"):
        if reference.standing(claim) == "related":
            message = f"{quote!r}: {what} is at best an inference in this study; it cannot be certain."
            yield find("overstated", message, step=here.step, span=claim.span)
        return
    if claim.status == "present" and loose and not firm:
        message = f"{quote!r}: {what} is only possible in this study; keep the hedge."
        code = "overstated" if claim.certain else "hedge_dropped" if concludes(here.step, here.text) else ""
    elif claim.status == "absent" and loose and not firm and claim.certain and not claim.limits:
        code, message = "rules_out_open", f"{quote!r}: {what} is left open in this study; it cannot be ruled out."
    elif claim.status == "uncertain" and firm and not loose and claim.doubted:
        code, message = "understated", f"{quote!r}: {what} is asserted for this study; do not doubt it."
    if code:
        evidence = reference.sentence((loose or firm)[0])
        yield find(code, message, step=here.step, span=claim.span, evidence=evidence)


_OPEN = """\
Technique: Chest radiograph.
View: PA
Findings: Right basilar opacity may represent pneumonia or atelectasis. Left effusion.
Impression: Possible pneumonia."""

PASSES = (
    Case(ten()),
    Case(
        ten(
            {5: "The right basilar opacity may be pneumonia or atelectasis.", 10: "Synthesis: possible pneumonia."},
            _OPEN,
        ),
        None,
        _OPEN,
    ),
)
FAILS = (
    Case(ten({5: "The right basilar opacity is definitely pneumonia."}, _OPEN), "overstated", _OPEN),
    Case(
        ten({5: "The right base is opacified, and atelectasis is definitely ruled out."}, _OPEN),
        "rules_out_open",
        _OPEN,
    ),
    Case(ten({10: "Synthesis: pneumonia at the right base."}, _OPEN), "hedge_dropped", _OPEN),
    Case(ten({6: "A left effusion is possible, but this is far from certain."}, _OPEN), "understated", _OPEN),
    Case(ten({5: "Beyond any doubt nothing is wrong here."}), "overclaimed"),
)
