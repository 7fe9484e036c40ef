"""Claim: one thing that a sentence asserts about the chest, denies, or leaves open. Plain data, no behaviour."""

from typing import Literal, NamedTuple, get_args

Status = Literal["present", "absent", "uncertain"]
Side = Literal["left", "right", "bilateral"]
Strength = Literal["explicit", "weak"]
Region = Literal[
    "technique",
    "devices",
    "cardiomediastinum",
    "airway",
    "lungs",
    "pleura",
    "pneumothorax",
    "vessels",
    "bones",
    "other",
]
REGIONS: tuple[Region, ...] = get_args(Region)


class Claim(NamedTuple):
    """One assertion; a tuple with names, since a trace makes dozens and a dataclass takes five times as long.

    `finding` is a snake_case name of findings.tsv or devices.tsv; spans are offsets [start, end) in the text that was
    read. An `implied` claim is the absence that a normal organ implies ("the lungs are clear" denies a
    consolidation). A `weak` one is asserted among words that weigh, seek or explain. `limits` are words that narrow it
    ("no large effusion"). A `counted` side comes from a quantifier ("both", "each"). A `composed` finding is a name
    that we made of parts ("opacity" at a fissure); `base` is the one of them that is a finding by itself.
    `because` names the phrases, pairs and parts of the reader that made the claim.
    """

    finding: str
    status: Status
    side: Side | None
    place: tuple[str, ...]
    size: str | None
    tip: tuple[str, ...]
    certain: bool
    doubted: bool
    limits: tuple[str, ...]
    strength: Strength
    implied: bool
    counted: bool
    composed: bool
    base: str | None
    device: bool
    region: Region
    span: tuple[int, int]
    text: str
    sentence: tuple[int, int]
    because: tuple[str, ...]
