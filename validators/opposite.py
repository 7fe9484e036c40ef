"""Opposite: a step gives a thing the opposite of what the reference gives it ("the right ankle", "high volumes").

It protects against changed words in sentences that the reader of claims does not follow. Opposites are a closed class
of words: left and right, upper and lower, ascending and descending. A thing that the reference names with one of them,
and never without, has that one; a sentence that denies, supposes, or calls something healthy says nothing of it.

Of 87 good traces for real and made reports none is doubted by it; of 323 with a false step 40 are.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .findings.opposites import named_with
from .grounding import reference_of, sided
from .memory import remember
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"opposite": "doubt"}
find = Finder(__name__, CODES)

_MEMORY, _NAME = 2_000_000, 350  # bytes in all, and of a name, about


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first thing of each step that has another side, level or degree than wherever the reference names it."""
    reference = reference_of(study)
    known = _known(reference.text)
    judged = sided(study, candidate)
    for position, text in steps_of(candidate):
        for start, end in sentences(text):
            sentence = text[start:end]
            if (position, (start, end)) in judged:
                continue
            moved = next(
                (
                    (name, value, known[name, kind])
                    for name, kind, values in named_with(sentence, asserted=True)
                    for value in values
                    if len(values) == 1 and known.get((name, kind)) and not known[name, kind] & {"", value}
                ),
                None,
            )
            if moved:
                name, value, others = moved
                has = " or ".join(sorted(others))
                yield find(
                    "opposite",
                    f"{sentence!r}: the {name} of this study is {has}, not {value}; correct it.",
                    step=position,
                    span=(start, end),
                )
                break


@remember(_MEMORY, cost=lambda known: _NAME * len(known))
def _known(report: str) -> dict[tuple[str, int], set[str]]:
    """For each thing that a report names, and each kind of opposites, the words it is named with; "" for none."""
    known: dict[tuple[str, int], set[str]] = defaultdict(set)
    for start, end in sentences(report):
        for name, kind, values in named_with(report[start:end]):
            known[name, kind] |= values or {""}
    return dict(known)


_SURGERY = """\
Technique: Chest radiograph.
View: PA
Findings: Old surgery of the left humerus. Low lung volumes. Prominent ascending aorta.
Impression: No acute disease."""

PASSES = (
    Case(ten()),
    Case(ten({5: "Lung volumes are low.", 9: "The left humerus was operated on."}, _SURGERY), None, _SURGERY),
    Case(ten({9: "The right humerus is intact."}, _SURGERY), None, _SURGERY),
)
FAILS = (
    Case(ten({9: "The right humerus was operated on."}, _SURGERY), "opposite", _SURGERY),
    Case(ten({5: "Lung volumes are high."}, _SURGERY), "opposite", _SURGERY),
    Case(ten({3: "The descending aorta is prominent."}, _SURGERY), "opposite", _SURGERY),
)
