"""Severity: a step makes a finding of the reference larger, smaller, or of another number than it is.

It protects against a small effusion that becomes a large one on its way through the steps. Two grades apart is an
error; a neighbouring grade (mild, moderate) may be one reader's choice and is a doubt, and so is another number.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .findings.lexicon import word_set
from .findings.modifiers import parsed
from .findings.reference import Reference, relations
from .grounding import REPORT_LIMIT, Said, name, reference_of, said, said_of_it
from .rule import Case, Finder, Group, ten
from .steps import steps_of, vocabulary, words_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"wrong_size": "error", "other_size": "doubt", "wrong_count": "doubt"}
find = Finder(__name__, CODES)

_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_PAIRS = dict.fromkeys(("both", "dual", "pair", "double", "bilateral"), 2)  # a reference's ways to say two
_NEAR, _NEXT = 4, 3  # words from a number to what it counts, and to the images that it counts
_VIEWS = 2  # of a study, unless it says more
_COUNTABLE = ("rib", "spine")
_LONG = 3  # digits of a number that counts nothing
_TECHNIQUE = word_set("technique")
_GRADES = {"tiny": 0, "borderline": 0, "small": 1, "mild": 1, "moderate": 2, "large": 3, "severe": 3}


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Sizes, degrees and numbers that agree with none that the reference gives for the finding."""
    reference = reference_of(study)
    for here in (*said(candidate), *said_of_it(candidate)):
        if here.claim.status != "absent":
            yield from _graded(reference, here)
    for position, text in steps_of(candidate):
        yield from _counted(study.report[:REPORT_LIMIT], position, text)


def _graded(reference: Reference, here: Said) -> Iterator[Finding]:
    claim = here.claim
    own = reference.asserted((claim.finding,))
    others = own or reference.asserted(relations().same.get(claim.finding, ()))
    apart = [(steps, other) for other in others if (steps := _grades_apart(claim.size, other.size)) is not None]
    distance = min((steps for steps, _ in apart), default=0)
    if distance:
        yield find(
            "wrong_size" if distance > 1 else "other_size",
            f"{here.quote!r}: {name(claim.finding)} is {apart[0][1].size} in this study, not {claim.size}.",
            step=here.step,
            span=claim.span,
            evidence=reference.sentence(apart[0][1]),
        )


def _grades_apart(one: str | None, other: str | None) -> int | None:
    """By how many grades two sizes differ; none if either is no grade."""
    if one not in _GRADES or other not in _GRADES:
        return None
    return abs(_GRADES[one] - _GRADES[other])


def _counted(report: str, position: int, text: str) -> Iterator[Finding]:
    """The first number of things or images in a step that the report has nowhere."""
    if _COUNTS.keys().isdisjoint(vocabulary(text)):
        return
    said = words_of(report)
    known = {(_COUNTS | _PAIRS)[word] for word in said if word in _COUNTS or word in _PAIRS}
    known |= {int(word) for word in said if word.isdigit() and len(word) < _LONG}
    for start, end in sentences(text):
        new = {word for word in _numbers(text[start:end]) if _COUNTS[word] not in known}
        if new:
            yield find(
                "wrong_count",
                f"{text[start:end]!r}: the study has no {min(new)} of anything; correct the number.",
                step=position,
                span=(start, end),
            )
            return


def _numbers(sentence: str) -> Iterator[str]:
    """The numbers that count findings, devices, bones or images; others may count signs, steps or places."""
    found, _, _ = parsed(sentence)
    for at, word in enumerate(found.words):
        if word not in _COUNTS or found.words[at + 1 : at + 2] == [":"]:
            continue
        if not _TECHNIQUE.isdisjoint(found.words[at : at + _NEAR]):
            if _COUNTS[word] > _VIEWS and not _TECHNIQUE.isdisjoint(found.words[at : at + _NEXT]):
                yield word
        elif any(
            (entry.finding or entry.organ in _COUNTABLE) and first - _NEAR <= at <= last
            for entry, first, last in zip(found.entries, found.first, found.last, strict=True)
        ):
            yield word


_SMALL = """\
Technique: Chest radiograph.
View: PA
Findings: Small left pleural effusion. Two nodules in the right lung.
Impression: Small effusion."""

PASSES = (
    Case(ten()),
    Case(ten({6: "A mild left pleural effusion is seen."}, _SMALL), None, _SMALL),
    Case(ten({6: "Three clues belong together, and each is looked for in turn."}, _SMALL), None, _SMALL),
)
FAILS = (
    Case(ten({6: "A large left pleural effusion is seen."}, _SMALL), "wrong_size", _SMALL),
    Case(ten({6: "A moderate left pleural effusion is seen."}, _SMALL), "other_size", _SMALL),
    Case(ten({5: "Three nodules are seen."}, _SMALL), "wrong_count", _SMALL),
    Case(ten({1: "Five images were taken."}, _SMALL), "wrong_count", _SMALL),
)
