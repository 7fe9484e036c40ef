"""Location: a step puts a finding of the reference on the other side, in another zone, or a device's end elsewhere.

It protects against the flips that matter most in use and that fluent text hides best. A side or place is wrong if no
claim of the reference about this finding, or about what it is a kind of, agrees with it; the whole is never wrong for
a part (left, of bilateral), and a part not for the whole. A side that the reference does not
give is a doubt, and so is one from a quantifier ("both"), whatever a recipe says of wrong sides.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import Claim, sentences
from .findings.lexicon import lexicon
from .findings.reference import Reference, other_lobe, places_agree, relations
from .findings.sides import worse_sides
from .grounding import REPORT_LIMIT, Said, name, reference_of, said, said_of_it
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {
    "wrong_side": "doubt",
    "quantified_side": "doubt",  # from "both" or "each", which may count other things: never more than a doubt
    "wrong_place": "error",
    "wrong_tip": "doubt",
    "tip_contradiction": "doubt",
    "wrong_asymmetry": "doubt",
    "side_added": "warning",  # alone it hit 1 of 304 good traces, and none of 864 corrupted ones
}
find = Finder(__name__, CODES)

_BONES = frozenset({"rib", "clavicle", "shoulder", "sternum", "spine"})


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Sides, places and ends that the reference contradicts."""
    reference = reference_of(study)
    tips = _tips(reference)
    for here in (*said(candidate), *said_of_it(candidate)):
        claim = here.claim
        if claim.status == "absent" or claim.implied:
            continue
        if claim.finding == "tip_unknown":
            if tips:
                yield find(
                    "tip_contradiction",
                    f"{here.quote!r}: the end of the device is known; state it.",
                    step=here.step,
                    span=claim.span,
                    evidence=reference.sentence(tips[0]),
                )
            continue
        if (claim.side or claim.place) and not (claim.strength == "weak" and not reference.asserted((claim.finding,))):
            yield from _located(reference, here)
        if claim.tip and claim.strength == "explicit":
            yield from _ends(reference, here, tips)
    yield from _compared(study.report[:REPORT_LIMIT], candidate)


def _compared(report: str, candidate: Candidate) -> Iterator[Finding]:
    """Comparisons of the sides whose worse side is the reference's better one."""
    if not worse_sides(report):
        return
    known = {side: report[start:end] for start, end in sentences(report) for side in worse_sides(report[start:end])}
    if len(known) != 1:  # none, or one for each side: then which is meant cannot be known
        return
    (side, evidence), *_ = known.items()
    other = "right" if side == "left" else "left"
    for position, text in steps_of(candidate):
        if other in worse_sides(text):
            yield find(
                "wrong_asymmetry",
                f"{text!r}: the {side} side is the worse one; correct the comparison.",
                step=position,
                evidence=evidence,
            )


def _located(reference: Reference, here: Said) -> Iterator[Finding]:
    claim = here.claim
    if claim.region != "bones":  # a rib that lies over it is not where a nodule is
        claim = claim._replace(place=tuple(place for place in claim.place if place.partition("_")[0] not in _BONES))
    others = reference.counterparts(claim)
    if not others:
        if claim.side and claim.side != "bilateral" and reference.standing(claim) in ("supported", "related"):
            yield find(
                "side_added",
                f"{here.quote!r}: no side is given for {name(claim.finding)} in this study.",
                step=here.step,
                span=claim.span,
            )
        return
    sided = [other for other in others if other.side]
    if claim.side and sided and not any(_within(claim, other, others) for other in sided):
        yield find(
            "quantified_side" if claim.counted else "wrong_side",
            f"{here.quote!r}: {name(claim.finding)} is not {claim.side}; correct the side.",
            step=here.step,
            span=claim.span,
            evidence=reference.sentence(sided[0]),
        )
        return
    placed = [other for other in others if other.place and _within(claim, other, others)]
    near = reference.asserted(
        relations().same.get(claim.finding, frozenset()) | relations().related.get(claim.finding, frozenset())
    )
    if any(other.place and _within(claim, other, near) and _same_place(claim, other) for other in near):
        return  # something of the kind is there
    if claim.place and placed and not any(_same_place(claim, other) for other in placed):
        place = " ".join(name(part) for part in claim.place)
        yield find(
            "wrong_place",
            f"{here.quote!r}: {name(claim.finding)} is not in the {place}; correct the place.",
            step=here.step,
            span=claim.span,
            evidence=reference.sentence(placed[0]),
        )


def _same_place(claim: Claim, other: Claim) -> bool:
    return places_agree(claim.place, other.place) and not other_lobe(claim, other)


def _within(claim: Claim, other: Claim, others: tuple[Claim, ...]) -> bool:
    """Whether the other claim allows this one's side; both sides are allowed by one claim for each."""
    if claim.side is None or other.side is None or other.side in ("bilateral", claim.side):
        return True
    return claim.side == "bilateral" and {one.side for one in others} >= {"left", "right"}


def _tips(reference: Reference) -> tuple[Claim, ...]:
    return tuple(claim for found in reference.present.values() for claim in found if claim.tip and claim.device)


def _ends(reference: Reference, here: Said, tips: tuple[Claim, ...]) -> Iterator[Finding]:
    groups = lexicon().tip_groups
    known = {tip for claim in tips for tip in claim.tip}
    for tip in here.claim.tip:
        if tip in known:
            continue
        general = {groups[tip], tip} & known  # "SVC" for "lower SVC", and the other way round
        if general or (tip == groups[tip] and any(groups[other] == tip for other in known)):
            continue
        if not known and reference.standing(here.claim) == "unsupported":
            continue  # the device itself is reported
        evidence = reference.sentence(tips[0]) if tips else None
        yield find(
            "wrong_tip",
            f"{here.sentence!r}: {name(tip)} is not where the device lies or ends in this study.",
            step=here.step,
            span=here.claim.span,
            evidence=evidence,
        )


_LEFT = """\
Technique: Chest radiograph.
View: PA
Findings: Right jugular catheter with its tip in the lower SVC. Opacity in the left lower lobe. Bilateral effusions.
Impression: Left lower lobe opacity. Scoliosis."""
_UNEQUAL = """\
Technique: Chest radiograph.
View: PA
Findings: Bilateral pleural effusions, right greater than left.
Impression: Effusions."""

PASSES = (
    Case(ten()),
    Case(
        ten({5: "An opacity is seen at the left base.", 6: "There is a left effusion, and one on the right."}, _LEFT),
        None,
        _LEFT,
    ),
    Case(ten({2: "The right jugular catheter ends in the superior vena cava."}, _LEFT), None, _LEFT),
    Case(ten({6: "Both pleural spaces hold fluid, more on the right than on the left."}, _UNEQUAL), None, _UNEQUAL),
    Case(ten({6: "Effusions are seen, the left one smaller than the right."}, _UNEQUAL), None, _UNEQUAL),
)
FAILS = (
    Case(ten({5: "An opacity is seen at the right base."}, _LEFT), "wrong_side", _LEFT),
    Case(ten({5: "Both lower lobes have an opacity."}, _LEFT), "quantified_side", _LEFT),
    Case(ten({5: "An opacity is seen in the left upper lobe."}, _LEFT), "wrong_place", _LEFT),
    Case(ten({2: "The right jugular catheter has its tip over the right atrium."}, _LEFT), "wrong_tip", _LEFT),
    Case(
        ten({2: "The right jugular catheter is seen; its tip position cannot be confirmed."}, _LEFT),
        "tip_contradiction",
        _LEFT,
    ),
    Case(ten({9: "There is a right scoliosis."}, _LEFT), "side_added", _LEFT),
    Case(
        ten({6: "Both pleural spaces hold fluid, the left larger than the right."}, _UNEQUAL),
        "wrong_asymmetry",
        _UNEQUAL,
    ),
    Case(ten({6: "The effusions are worse on the left than on the right."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
    Case(ten({6: "Fluid on both sides, more pronounced on the left."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
    Case(ten({6: "The two effusions are unequal: the left one is the larger."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
    Case(ten({6: "Both effusions are small, the left exceeding the right."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
)
