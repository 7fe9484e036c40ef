"""Unsupported: a step asserts a finding or a device that the reference does not have.

It protects the student from learning to see what was not reported (D4). Unsupported is not false: the image may show
it; but nothing here says so, and a trace that may be trusted does without. Other words for a reported finding, and
more general ones, are supported (findings/relations.tsv); what a careful reader may infer from it is
`inferred_finding`. All of it is a doubt but a device, which is an error: reports name devices with few words.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .grounding import name, reference_of, said, weighed
from .rule import Case, Finder, Group, ten

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {
    "unsupported_finding": "doubt",
    "unsupported_device": "doubt",  # as an error it hit 5 of 140 good traces at first sight
    "inferred_finding": "doubt",
    "hedged_unsupported": "warning",  # alone it hit 5 of 304 good traces, and 4 of 864 corrupted ones
}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Asserted findings and devices without support; each once a step."""
    reference = reference_of(study)
    for here in said(candidate):
        claim = here.claim
        if claim.status == "absent" or claim.finding == "tip_unknown" or weighed(claim):
            continue
        standing = reference.standing(claim)
        if standing in ("supported", "denied"):
            continue
        what = name(claim.finding)
        if claim.status == "uncertain" or claim.strength == "weak":
            if standing == "unsupported":
                yield find(
                    "hedged_unsupported",
                    f"{here.quote!r}: nothing in the study points to {what}.",
                    step=here.step,
                    span=claim.span,
                )
        elif standing == "related":
            yield find(
                "inferred_finding",
                f"{here.quote!r}: {what} is an inference; hedge it, or leave it out.",
                step=here.step,
                span=claim.span,
            )
        else:
            kind = "device" if claim.device else "finding"
            yield find(
                f"unsupported_{kind}",
                f"{here.quote!r}: no {what} is known for this study; leave it out.",
                step=here.step,
                span=claim.span,
            )


_OPACITY = """\
Technique: Chest radiograph.
View: PA
Findings: Airspace opacity in the left lower lobe. Right PICC with its tip in the lower SVC.
Impression: Left lower lobe opacity, which may represent pneumonia or atelectasis."""

PASSES = (
    Case(ten()),
    Case(
        ten({2: "A central venous catheter enters from the right.", 5: "The left base is opacified."}, _OPACITY),
        None,
        _OPACITY,
    ),
    Case(
        ten({5: "The opacity may be pneumonia; the catheter is not to be mistaken for a chest tube."}, _OPACITY),
        None,
        _OPACITY,
    ),
)
FAILS = (
    Case(ten({9: "The thoracic spine has degenerative changes."}), "unsupported_finding"),
    Case(ten({2: "A right chest tube is in place."}), "unsupported_device"),
    Case(ten({2: "A port overlies the right chest."}, _OPACITY), "unsupported_device", _OPACITY),
    Case(ten({5: "The left lower lobe shows scarring."}, _OPACITY), "inferred_finding", _OPACITY),
    Case(ten({9: "Scoliosis is possible."}), "hedged_unsupported"),
)
