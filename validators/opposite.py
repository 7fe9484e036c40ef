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

_MEMORY, _SENTENCE = 500_000, 400  # bytes in all, and of a sentence, about


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
    known = _opposed(report)
    given: dict[tuple[int, str], list[str]] = {}
    for kind, words in opposites(sentence).items():
        word = next(iter(words))
        others = [there for there, its in known.items() if word not in its.get(kind, words)]
        if others and len(words) == 1 and kind != but:
            given[kind, word] = others
    if not given or not tone(sentence).plain:
        return None
    for name in things(sentence):
        for (kind, word), others in given.items():
            if is_of_any_side(name, kind) or not any(name in things(there) for there in others):
                continue
            naming = [its for there, its in known.items() if name in things(there)]
            if all(word not in its.get(kind, {word}) for its in naming):
                return name, word, sorted(set().union(*(its[kind] for its in naming)))
    return None


@remember(_MEMORY, cost=lambda known: _SENTENCE * len(known))
def _opposed(report: str) -> dict[str, Opposites]:
    """The opposites of each sentence of a report."""
    return {report[start:end]: opposites(report[start:end]) for start, end in sentences(report)}


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
