"""Unreported location: a step puts something abnormal where the reference has nothing.

It protects against places that are moved in words the other rules do not know ("the change lies at the apex"). A place
is unreported if the reference has places of its kind (zones of the lungs, levels of the spine, ribs, parts of the
mediastinum, what lies outside), and none of them agrees in zone and side. Something in the lungs that the reference
puts nowhere may be anywhere: then no place in them is. What `location.py` has a counterpart for is left to it.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .findings.reference import GENERIC, Reference, relations
from .findings.whereabouts import LUNG_ZONES, Whereabouts, put_somewhere, whereabouts
from .grounding import REPORT_LIMIT, read_claims, reference_of
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"unreported_location": "doubt"}
find = Finder(__name__, CODES)

_SPINE = re.compile(r"[ctl]\d+|sacrum")
_IN_LUNGS = frozenset({"lungs", "pleura", "pneumothorax"})


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Places of the steps that agree with none of the reference's."""
    reference = reference_of(study)
    known = [place for place in whereabouts(study.report[:REPORT_LIMIT]) if place.zones]
    if not known:
        return
    for position, text in steps_of(candidate):
        for start, end in sentences(text):
            if text[end - 1] == "?" or _judged(reference, text[start:end]):
                continue
            for place in put_somewhere(text[start:end]):
                others = [other for other in known if _kind(other) == _kind(place)]
                if not place.zones or not others or any(_agree(place, other) for other in others):
                    continue
                if _kind(place) == "lungs" and _has_unplaced(reference):
                    continue
                first = others[0].span
                yield find(
                    "unreported_location",
                    f"{text[start:end]!r}: nothing is known at this place; correct the side or place.",
                    step=position,
                    span=(start, end),
                    evidence=study.report[first[0] : first[1]],
                )


def _judged(reference: Reference, sentence: str) -> bool:
    """Whether `location.py` has judged the place: it has counterparts with places for a plain claim, or a device."""
    return any(
        claim.device
        or (
            claim.status != "absent"
            and claim.place
            and claim.finding not in GENERIC
            and claim.strength == "explicit"
            and any(other.place for other in reference.counterparts(claim))
        )
        for claim in read_claims(sentence)
    )


def _has_unplaced(reference: Reference) -> bool:
    """Whether something in the lungs has no place, and is no other name of what has one."""
    found = [claim for table in (reference.present, reference.uncertain) for group in table.values() for claim in group]
    placed = {claim.finding for claim in found if claim.place}
    table = relations()
    kin = placed.union(*(table.same[name] | table.related[name] for name in placed))
    return any(claim.region in _IN_LUNGS and not claim.place and claim.finding not in kin for claim in found)


def _kind(place: Whereabouts) -> str:
    zone = next(iter(place.zones), "")
    if place.zones & LUNG_ZONES:
        return "lungs"
    if _SPINE.fullmatch(zone):
        return "spine"
    return "rib" if zone.startswith("rib") else "mediastinum" if zone.startswith("mediastinum") else "outside"


def _agree(place: Whereabouts, other: Whereabouts) -> bool:
    sides = place.sides & {"left", "right"}
    same_side = not sides or not other.sides or "bilateral" in other.sides or bool(sides & other.sides)
    return bool(place.zones & other.zones) and same_side


_APEX = """\
Technique: Chest radiograph.
View: PA
Findings: Scarring at the left apex. Deformity of the L2 vertebral body.
Impression: No acute disease."""

PASSES = (
    Case(ten()),
    Case(ten({5: "The changes lie at the left apex.", 9: "A deformity is seen at L2."}, _APEX), None, _APEX),
    Case(
        ten({5: "The question is tuberculosis, so I look for cavities, basal scarring and nodes."}, _APEX), None, _APEX
    ),
    Case(ten({5: "The right base is clear, and nothing else is seen there."}, _APEX), None, _APEX),
)
FAILS = (
    Case(ten({5: "The changes lie at the left base."}, _APEX), "unreported_location", _APEX),
    Case(ten({5: "Something dense occupies the right apex."}, _APEX), "unreported_location", _APEX),
    Case(ten({5: "A dense, well-defined focus is in the right base."}, _APEX), "unreported_location", _APEX),
    Case(ten({9: "A deformed vertebra stands at T6."}, _APEX), "unreported_location", _APEX),
)
