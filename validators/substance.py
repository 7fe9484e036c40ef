"""Substance: a trace that claims nothing about this study, and a step about nothing that a chest film shows.

It protects against texts that pass every other rule because they say nothing that could be wrong: ten constant
sentences were once accepted for every study. What a trace leaves out is `coverage`'s business.

Not one of the 26 traces of the development set (Open-i) claims nothing or has such a step.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import is_off_topic
from .grounding import said
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"says_nothing": "error", "off_topic": "doubt"}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Ten steps without one plain claim; each step about no part, finding, device, view or reading of a film."""
    steps = steps_of(candidate)
    if steps and all(here.claim.strength == "weak" for here in said(candidate)):
        yield find(
            "says_nothing",
            "No step claims anything about this study; say of each region what is there and what is not.",
        )
    about = {here.step for here in said(candidate)}
    for position, text in steps:
        if position not in about and is_off_topic(text):
            yield find(
                "off_topic",
                f"{text[:80]!r} speaks of nothing that a chest film shows; describe what is seen.",
                step=position,
                span=(0, len(text)),
            )


_VAGUE = {
    number: f"{part} is looked at with care, from one side to the other."
    for number, part in enumerate(
        (
            "The film",
            "The heart",
            "The aorta",
            "The trachea",
            "The lung",
            "The pleura",
            "The apex",
            "The hilum",
            "The spine",
            "The chest",
        ),
        1,
    )
}

PASSES = (
    Case(ten()),
    Case(ten({1: "One frontal view, taken with the patient upright.", 10: "Synthesis: nothing acute in the chest."})),
)
FAILS = (
    Case(ten(_VAGUE), "says_nothing"),
    Case(ten({4: "Bananas are yellow and grow in bunches."}), "off_topic"),
)
