"""A reference report as facts, and how a claim stands to them. Knows reports and claims, no rules and no traces.

A reference counts as a whole: a claim that any of its sentences makes is supported, whatever another sentence says.
"Not in the reference" is not called false here: it is `unsupported`, the image may show it.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal, NamedTuple

from ..memory import remember
from .claim import Claim
from .claims import claims
from .lexicon import lexicon, names, rows
from .measure import Measurement, measurements
from .text import headed_sentences, lower

_MEMORY, _CLAIM = 2_000_000, 450  # bytes in all, and of a claim, about
Standing = Literal["supported", "related", "denied", "unsupported"]

_LOBES = {
    "upper_lobe": "upper", "rul": "upper", "lul": "upper", "lingula": "lingula", "middle_lobe": "middle",
    "rml": "middle",
    "lower_lobe": "lower", "rll": "lower", "lll": "lower",
}  # fmt: skip
_NAMELESS = ("tip", "tips")  # a device that is known by its end alone
_EMPTY_LIMITS = frozenset({"focal", "discrete", "typical", "convincing", "similar", "suspicious", "lobar", "confluent"})


class Relations(NamedTuple):
    """relations.tsv, with devices joined to the more general devices that they are.

    A name that is made of two words' meanings, such as a tip's uncertain position, stands in no table.
    """

    same: dict[str, frozenset[str]]
    related: dict[str, frozenset[str]]
    denial: dict[str, frozenset[str]]


@cache
def relations() -> Relations:
    """Read once a process."""
    devices = lexicon().devices
    same: dict[str, set[str]] = {name: {name} for name in lexicon().findings}
    related: dict[str, set[str]] = {name: set() for name in same}
    denial: dict[str, set[str]] = {name: {name} for name in same}
    for device in devices:
        kind = devices[device]
        while kind != "-":
            same[kind].add(device)
            denial[kind].add(device)
            kind = devices[kind]
    for finding, alike, near, denied in rows("relations.tsv"):
        same[finding] |= set(names(alike))
        related[finding] |= set(names(near))
        denial[finding] |= set(names(denied))
    return Relations(*({name: frozenset(found) for name, found in table.items()} for table in (same, related, denial)))


class Reference(NamedTuple):
    """What a report asserts, leaves open and denies, by finding."""

    text: str
    present: dict[str, tuple[Claim, ...]]
    uncertain: dict[str, tuple[Claim, ...]]
    absent: dict[str, tuple[Claim, ...]]  # said so
    implied: dict[str, tuple[Claim, ...]]  # absent because the organ is normal
    measurements: tuple[Measurement, ...]
    impression: tuple[tuple[int, int], ...]  # its sentences; all of them in a report without one

    def concluded(self) -> tuple[Claim, ...]:
        """What the impression asserts."""
        spans = set(self.impression)
        return tuple(claim for found in self.present.values() for claim in found if claim.sentence in spans)

    def left_open(self) -> tuple[Claim, ...]:
        """The findings that the impression leaves open and nothing asserts, each once."""
        spans = set(self.impression)
        first = (next((claim for claim in found if claim.sentence in spans), None) for found in self.uncertain.values())
        return tuple(claim for claim in first if claim and claim.finding not in self.present)

    @property
    def size(self) -> int:
        """How many claims it makes."""
        tables = (self.present, self.uncertain, self.absent, self.implied)
        return sum(len(found) for table in tables for found in table.values())

    def sentence(self, claim: Claim) -> str:
        """The sentence that makes a claim."""
        return self.text[claim.sentence[0] : claim.sentence[1]]

    def asserted(self, names: Iterable[str]) -> tuple[Claim, ...]:
        """Claims that assert or leave open one of these findings, by name: a set has another order in each process."""
        present, uncertain = self.present, self.uncertain
        known = [name for name in names if name in present or name in uncertain]
        return tuple(claim for name in sorted(known) for claim in (*present.get(name, ()), *uncertain.get(name, ())))

    def standing(self, claim: Claim) -> Standing:
        """How an asserted or hedged claim stands to the report."""
        table, name = relations(), claim.finding
        if self.asserted((name,)) or (claim.size == "borderline" and self.asserted(("borderline_heart_size",))):
            return "supported"
        denied = any(_covers(denial, claim) for denial in self.absent.get(name, ()))
        if denied:
            return "denied"
        if self.asserted(table.same.get(name, ())):
            return "supported"
        if claim.device and any(other.text.lower().endswith(_NAMELESS) for other in self.present.get("device", ())):
            return "supported"  # its name may be what was taken out in de-identification
        return "related" if self.asserted(table.related.get(name, ())) else "unsupported"

    def counterparts(self, claim: Claim) -> tuple[Claim, ...]:
        """The claims of the report that an asserted claim must agree with in side and place: the nearest in meaning."""
        table, name = relations(), claim.finding
        if claim.device:
            return self.asserted({name} | table.same.get(name, set()) | table.related.get(name, set()))
        for group in ({name}, table.same.get(name, {name}), table.related.get(name, frozenset())):
            found = self.asserted(group)
            if any(other.side or other.place for other in found):
                return found
        return ()

    def contradicted(self, claim: Claim) -> Claim | None:
        """For a denied claim: the assertion of the report that it contradicts, or none."""
        name, present = claim.finding, self.present.get(claim.finding, ())
        if name not in self.uncertain and self.present.keys().isdisjoint(relations().denial.get(name, (name,))):
            return None  # most claims: then the rest need not be asked
        if any(_speaks_for(other, claim) for other in self.implied.get(name, ())) and (claim.implied or not present):
            return None
        denials = self.absent.get(name, ())
        if (not present and denials) or (not claim.implied and any(_speaks_for(other, claim) for other in denials)):
            return None
        for other in (
            found for kind in sorted(relations().denial.get(name, {name})) for found in self.present.get(kind, ())
        ):
            if claim.side in ("left", "right") and other.side is None:
                continue  # "the right lung has no opacity", and the report does not say where the opacity is
            if _overlap(claim, other) and not _narrower(claim, other, self.sentence(other)):
                return other
        if claim.implied or claim.limits or denials:
            return None
        return next((other for other in self.uncertain.get(name, ()) if _overlap(claim, other)), None)


def _speaks_for(denial: Claim, claim: Claim) -> bool:
    """Whether one denial says at least as much as another: of the same side, and not narrower."""
    if denial.side not in (None, "bilateral", claim.side):
        return False
    return denial.implied or all(limit in claim.limits for limit in denial.limits)


def _overlap(one: Claim, other: Claim) -> bool:
    return sides_agree(one.side, other.side) and places_agree(one.place, other.place)


def other_lobe(one: Claim, other: Claim) -> bool:
    """Whether each names lobes, and none in common: on a radiograph lobes overlap, in words they do not."""
    mine, theirs = ({_LOBES.get(place, "") for place in claim.place} for claim in (one, other))
    return bool(mine and theirs) and "" not in mine | theirs and not mine & theirs


def _covers(denied: Claim, claim: Claim) -> bool:
    """Whether a denial speaks of this claim as well: "no large effusion" does not of a small one."""
    words = {*claim.limits, claim.size}
    return _overlap(denied, claim) and all(limit in _EMPTY_LIMITS or limit in words for limit in denied.limits)


def sides_agree(one: str | None, other: str | None) -> bool:
    """Whether two sides can be the same; none and bilateral agree with all."""
    return one is None or other is None or one == other or "bilateral" in (one, other)


def places_agree(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two places share a zone; no place agrees with all."""
    zones = lexicon().zones
    first = frozenset(zone for place in one for zone in zones[place])
    second = frozenset(zone for place in other for zone in zones[place])
    return not first or not second or bool(first & second)


def _narrower(denial: Claim, other: Claim, sentence: str) -> bool:
    """Whether the denial leaves room for the other: "no large effusion" next to a small one, "no acute fracture"."""
    words = lower(sentence)
    return not denial.implied and any(limit not in words and limit not in _EMPTY_LIMITS for limit in denial.limits)


@remember(_MEMORY, cost=lambda found: _CLAIM * found.size)
def read_reference(report: str) -> Reference:
    """The facts of a report; cached, since every attempt at a study is judged against the same one."""
    tables: dict[str, dict[str, list[Claim]]] = {"present": {}, "uncertain": {}, "absent": {}, "implied": {}}
    for claim in claims(report):
        table = tables["implied" if claim.implied else claim.status]
        table.setdefault(claim.finding, []).append(claim)
        if claim.finding == "cardiomegaly" and claim.size == "borderline":
            table.setdefault("borderline_heart_size", []).append(claim)
    frozen = {kind: {name: tuple(found) for name, found in table.items()} for kind, table in tables.items()}
    return Reference(report, **frozen, measurements=measurements(report), impression=_impression(report))


def _impression(report: str) -> tuple[tuple[int, int], ...]:
    spans = headed_sentences(report)
    found = [(start, end) for start, end, heading in spans if heading.startswith(("impression", "conclusion"))]
    return tuple(found or [(start, end) for start, end, _ in spans])


def abnormal(reference: Reference) -> Iterator[Claim]:
    """The asserted findings of a report, each finding once, devices included; a heart at the upper limit of normal is
    none."""
    for finding, found in reference.present.items():
        if finding != "borderline_heart_size" and found[0].size != "borderline":
            yield found[0]
