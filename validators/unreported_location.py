"""Unreported location: a step puts something abnormal where the reference has nothing.

It protects against places that are moved in words the other rules do not know ("the change lies at the apex"). A place
is wrong if the reference has places of its kind (zones of the lungs, levels of the spine, ribs, parts of the
mediastinum, what lies outside), and none of them agrees in zone and side. Something that the reference puts nowhere may
be anywhere: then nothing is said. What `location.py` has a counterpart for is left to it. A paired part that the
reference names on one side only (a vein, a joint, a hilum) is on that side.

False alarms: none of the 20,702 sentences of 3,425 real reports (Open-i), each a step against its own report.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .findings.lexicon import word_set
from .findings.reference import GENERIC, Reference, relations
from .findings.whereabouts import LUNG_ZONES, Whereabouts, put_somewhere, whereabouts
from .grounding import REPORT_LIMIT, read_claims, reference_of
from .rule import Case, Finder, Group, ten
from .steps import steps_of, vocabulary

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"unreported_location": "doubt"}
find = Finder(__name__, CODES)

_SPINE = re.compile(r"[ctl]\d+|sacrum")
# what has no place of its own, or always the same
_EVERYWHERE = frozenset(
    {
        "hyperinflation", "emphysema", "copd", "low_lung_volumes", "flattened_diaphragm", "vascular_crowding", "edema",
        "vascular_congestion", "heart_failure", "pleural_effusion", "elevated_hemidiaphragm",
    }
)  # fmt: skip
_IN_LUNGS = frozenset({"lungs", "pleura", "pneumothorax"})
_PAIRED = re.compile(
    r"\b(?:(?P<jugular>ij|jugular)|(?P<subclavian>subclavian)|(?P<knee>knees?)|(?P<ankle>ankles?|malleol\w+)"
    r"|(?P<hip>hips?)|(?P<elbow>elbows?)|(?P<wrist>wrists?)|(?P<shoulder>shoulders?|glenohumeral|humer(?:us|al))"
    r"|(?P<hilum>hilum|hila|hilar)|(?P<perihilar>perihilar|parahilar)|(?P<rib>ribs?))\b",
    re.I,
)
_SIDES = re.compile(r"\b(left|right|both|two|bilateral\w*)\b", re.I)
_IN_VIEW = frozenset({"shoulder", "hilum", "perihilar", "rib"})
_ANYTHING = word_set("anything")
_NOT = frozenset({"no", "not", "never", "without", "neither", "nor", "other", "opposite", "than"})
_UNSAID = word_set("soft") | {"normal", "unremarkable", "clear", "free", "spared", "than", "opposite", "other", "same"}


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Places of the steps that agree with none of the reference's."""
    yield from _other_side(study, candidate)
    known = [place for place in whereabouts(study.report[:REPORT_LIMIT]) if place.zones]
    if not known:
        return
    reference = reference_of(study)
    for position, text in steps_of(candidate):
        for start, end in sentences(text):
            if text[end - 1] == "?" or _judged(reference, text[start:end]):
                continue
            for place in put_somewhere(text[start:end]):
                others = [other for other in known if _kind(other) == _kind(place)]
                if place.zones and others and not any(_agree(place, other) for other in others):
                    if _kind(place) == "lungs" and (_unplaced(reference) or _of_no_lung(text[start:end])):
                        continue
                    first = others[0].span
                    yield find(
                        "unreported_location",
                        f"{text[start:end]!r}: nothing is known at this place; correct the side or place.",
                        step=position,
                        span=(start, end),
                        evidence=study.report[first[0] : first[1]],
                    )


def _other_side(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Paired parts, abnormal or with a device, on the side that the reference does not name."""
    known = _paired(study.report[:REPORT_LIMIT])
    if not known:
        return
    reference = reference_of(study)
    for position, text in steps_of(candidate):
        for start, end in sentences(text):
            sentence = text[start:end]
            sides = {side.lower() for side in _SIDES.findall(sentence)}
            if len(sides) != 1 or not sides <= {"left", "right"}:
                continue
            for match in _PAIRED.finditer(sentence):
                evidence = known.get(match.lastgroup or "", {})
                if len(evidence) != 1 or not evidence.keys() <= {"left", "right"} - sides:
                    continue
                words = vocabulary(_part(sentence, match.start(), match.end()))
                if not _NOT.isdisjoint(words):
                    continue
                found = [claim for claim in read_claims(sentence) if claim.status == "present"]
                unsaid = not found and _ANYTHING.isdisjoint(words)
                if match.lastgroup in _IN_VIEW and (unsaid or not _UNSAID.isdisjoint(words)):
                    continue  # a film shows both, and a normal one may be described
                if any(other.side in sides for claim in found for other in reference.counterparts(claim)):
                    continue  # what is seen there is known on this side, by another name of its place
                (known_side, source), *_ = evidence.items()
                yield find(
                    "unreported_location",
                    f"{sentence!r}: the {match.lastgroup} of this study is the {known_side} one; correct the side.",
                    step=position,
                    span=(start, end),
                    evidence=source,
                )
                break


@lru_cache(maxsize=512)
def _paired(report: str) -> dict[str, dict[str, str]]:
    """The sides, each with a sentence, that a report gives to each paired part; "" where it gives none."""
    known: dict[str, dict[str, str]] = {}
    for start, end in sentences(report):
        sides = {side.lower() for side in _SIDES.findall(report[start:end])} or {""}
        for match in _PAIRED.finditer(report, start, end):
            known.setdefault(match.lastgroup or "", {}).update(dict.fromkeys(sides, report[start:end]))
    return known


def _part(sentence: str, start: int, end: int) -> str:
    """The sentence about [start, end): from a colon before it, to the next mark after it."""
    begin = max(sentence.rfind(mark, 0, start) for mark in ";:") + 1
    return sentence[begin:end] + re.split(r"[,;:]", sentence[end:], maxsplit=1)[0]


def _judged(reference: Reference, sentence: str) -> bool:
    """Whether `location.py` has judged the place: it has counterparts with places for a plain claim, or a device."""
    return any(
        claim.device
        or (
            claim.status != "absent"
            and claim.place
            and claim.finding not in GENERIC
            and not claim.soft
            and any(other.place for other in reference.counterparts(claim))
        )
        for claim in read_claims(sentence)
    )


def _of_no_lung(sentence: str) -> bool:
    """ "Behind the heart the aorta is tortuous": where the aorta is needs no place in the lungs."""
    regions = {claim.region for claim in read_claims(sentence) if claim.status == "present"}
    return bool(regions) and regions.isdisjoint(_IN_LUNGS)


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


def _unplaced(reference: Reference) -> bool:
    """Whether the reference has something in the lungs without a place, that is not a reading of what has one."""
    found = [claim for table in (reference.present, reference.uncertain) for group in table.values() for claim in group]
    lungs = [claim for claim in found if claim.region in _IN_LUNGS and claim.finding not in _EVERYWHERE]
    placed = {claim.finding for claim in found if claim.place}
    said = {claim.sentence for claim in found if claim.place}
    table = relations()
    kin = {*placed, *(other for name in placed for other in (*table.same[name], *table.related[name]))}
    return any(
        not claim.place
        and claim.sentence not in said
        and claim.finding not in kin
        and placed.isdisjoint({*table.same[claim.finding], *table.related[claim.finding]})
        for claim in lungs
    )


_APEX = """\
Technique: Chest radiograph.
View: PA
Findings: Scarring at the left apex. Deformity of the L2 vertebral body.
Impression: No acute disease."""
_PAIR = """\
Technique: Chest radiograph.
View: PA
Findings: Calcified right hilar lymph nodes. Left jugular catheter with its tip in the SVC.
Impression: No acute disease."""

PASSES = (
    Case(ten()),
    Case(ten({5: "The changes lie at the left apex.", 9: "A deformity is seen at L2."}, _APEX), None, _APEX),
    Case(ten({6: "The left hilum lies a little higher, as is usual."}, _PAIR), None, _PAIR),
    Case(ten({6: "The right jugular vein holds no line."}, _PAIR), None, _PAIR),
    Case(
        ten({5: "The question is tuberculosis, so I look for cavities, basal scarring and nodes."}, _APEX), None, _APEX
    ),
    Case(ten({5: "The right base is clear, and nothing else is seen there."}, _APEX), None, _APEX),
)
FAILS = (
    Case(ten({5: "The changes lie at the left base."}, _APEX), "unreported_location", _APEX),
    Case(ten({5: "Something dense occupies the right apex."}, _APEX), "unreported_location", _APEX),
    Case(ten({5: "A dense, well-defined focus is in the right base."}, _APEX), "unreported_location", _APEX),
    Case(ten({6: "The left hilum harbors calcified lymph nodes."}, _PAIR), "unreported_location", _PAIR),
    Case(ten({6: "It enters by way of the right jugular vein."}, _PAIR), "unreported_location", _PAIR),
    Case(ten({9: "A deformed vertebra stands at T6."}, _APEX), "unreported_location", _APEX),
)
