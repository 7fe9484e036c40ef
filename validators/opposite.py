"""Opposite: a step gives a thing the opposite of what the reference gives it ("the right ankle", "high volumes").

It protects against changed words in sentences that the reader of claims does not follow. Opposites are a closed class
of words: left and right, upper and lower, slight and severe, one and two. A thing that the reference names with one of
them, and never without, has that one; a sentence that denies, supposes, or calls something healthy says nothing of it.

Of 87 good traces for real and made reports none is doubted by it; of 323 with a false step 40 are.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .findings.opposites import SIDE, Opposites, is_of_any_side, opposites, things, tone
from .grounding import REPORT_LIMIT, sided
from .memory import remember
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"opposite": "doubt"}
find = Finder(__name__, CODES)

_MEMORY, _NAME = 500_000, 350  # bytes in all, and of a name, about


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first thing of each step that has another side, level or degree than wherever the reference names it."""
    report = study.report[:REPORT_LIMIT]
    for position, text in steps_of(candidate):
        for start, end in sentences(text):
            sentence = text[start:end]
            moved = _moved(report, sentence)
            if moved and (position, (start, end)) in sided(study, candidate):
                moved = _moved(report, sentence, but=SIDE)
            if moved:
                name, value, others = moved
                message = f"{sentence!r}: the {name} of this study is {' or '.join(others)}, not {value}; correct it."
                yield find("opposite", message, step=position, span=(start, end))
                break


def _moved(report: str, sentence: str, but: int | None = None) -> tuple[str, str, list[str]] | None:
    """A thing, its word in the sentence, and those of the reference, if it has one everywhere and not this one."""
    kinds = ((kind, words) for kind, words in opposites(sentence).items() if len(words) == 1 and kind != but)
    given = [(kind, next(iter(words))) for kind, words in kinds if kind in _kinds(report)]
    if not given or not tone(sentence).plain:
        return None
    known = _always(report)
    for name in things(sentence):
        for kind, word in given:
            there = known.get(name, {}).get(kind)
            if there and word not in there and not is_of_any_side(name, kind):
                return name, word, sorted(there)
    return None


@remember(_MEMORY, cost=lambda kinds: _NAME)
def _kinds(report: str) -> frozenset[int]:
    """The kinds of opposites that a report has words of."""
    return frozenset(kind for start, end in sentences(report) for kind in opposites(report[start:end]))


@remember(_MEMORY, cost=lambda known: _NAME * len(known))
def _always(report: str) -> dict[str, Opposites]:
    """For each thing that a report names, the words of the kinds of opposites that each sentence with it has."""
    known: dict[str, Opposites] = {}
    for start, end in sentences(report):
        here = opposites(report[start:end])
        for name in things(report[start:end]):
            before = known.get(name, here)
            known[name] = {kind: before[kind] | here[kind] for kind in before.keys() & here.keys()}
    return known


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
