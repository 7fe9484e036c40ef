"""Unreported location: a side, a rib or a vertebra that the reference names nowhere, where a step sees something.

It protects against places that are moved in words the other rules do not know ("the left one is small", "the line ends
at T10"). Sides are compared with every side that the reference names, "both" and the like with either; numbers of ribs
and vertebrae with the range that it names. A part that the step calls healthy, and whatever it denies, may be anywhere.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .findings.lexicon import ORDINALS
from .findings.match import is_head
from .findings.modifiers import parsed
from .findings.opposites import tone
from .grounding import REPORT_LIMIT, disputed, sided
from .memory import remember
from .rule import Case, Finder, Group, ten
from .steps import steps_of, vocabulary

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"unreported_location": "doubt"}
find = Finder(__name__, CODES)

_MEMORY, _KNOWN = 250_000, 600  # bytes in all, and of what a report names, about
_NUMBER = rf"(?:(?:{'|'.join(ORDINALS)})|\d{{1,2}}(?:st|nd|rd|th))"
_LEVEL = (
    rf"(?i)\b(?:(?P<spine>[ctl])[- ]?(?P<number>\d{{1,2}})\b|ribs? (?P<rib>\d{{1,2}})\b"
    rf"|(?P<ribs>{_NUMBER}(?:,? (?:(?:and|or|to|through) )?{_NUMBER})*)(?: \w+)? ribs?\b)"
)
_NUMBERED = frozenset({"rib", "ribs", "c", "t", "l"})  # a level has one of these words
_OTHER: Mapping[str | None, str] = {"left": "right", "right": "left"}


class _Known(NamedTuple):
    sides: frozenset[str]
    levels: Mapping[str, tuple[int, int]]  # the lowest and highest number, of ribs ("rib"), "c", "t" and "l"


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first side or level of each step that the reference names nowhere."""
    sides, levels = _named(study.report[:REPORT_LIMIT])
    any_side = "bilateral" in sides or len(sides) > 1  # then any finding may be meant
    for position, text in steps_of(candidate):
        if any_side and _NUMBERED.isdisjoint(vocabulary(text)):
            continue
        for start, end in sentences(text):
            sentence, here = text[start:end], (position, (start, end))
            moved = _unreported_level(levels, sentence)
            if not (moved or any_side) and (moved := _unreported_side(sides, sentence)):
                moved = None if here in sided(study, candidate) else moved
            if moved and not sentence.endswith("?") and here not in disputed(study, candidate):
                yield find(
                    "unreported_location",
                    f"{sentence!r}: the study has nothing at '{moved}'; correct the side or place.",
                    step=position,
                    span=(start, end),
                )
                break


@remember(_MEMORY, cost=lambda found: _KNOWN)
def _named(report: str) -> _Known:
    levels: dict[str, tuple[int, int]] = {}
    for kind, number, _ in _levels(report):
        low, high = levels.get(kind, (number, number))
        levels[kind] = min(low, number), max(high, number)
    read = [entry for start, end in sentences(report) for entry in parsed(report[start:end])[0].entries]
    return _Known(frozenset(entry.side for entry in read if entry.side), levels)


def _levels(text: str) -> Iterator[tuple[str, int, str]]:
    """Kind, number and words of each rib and vertebra that a text numbers."""
    if _NUMBERED.isdisjoint(vocabulary(text)):
        return
    for found in re.finditer(_LEVEL, text):
        if spine := found["spine"]:
            yield spine.lower(), int(found["number"]), found.group()
        elif found["rib"]:
            yield "rib", int(found["rib"]), found.group()
        else:
            for word in re.findall(_NUMBER, found["ribs"], re.I):
                number = int(word[:-2]) if word[0].isdigit() else ORDINALS.index(word.lower()) + 1
                yield "rib", number, found.group()


def _unreported_level(levels: Mapping[str, tuple[int, int]], sentence: str) -> str | None:
    for kind, number, words in _levels(sentence):
        low, high = levels.get(kind, (number, number))
        if not low <= number <= high:
            return words
    return None


def _unreported_side(known: frozenset[str], sentence: str) -> str | None:
    """The side of a plain clause, if the report names only the other one, or none and the sentence not both, but a
    finding or quality."""
    entries = parsed(sentence)[0].entries
    sides = {entry.side for entry in entries if entry.side}
    if not sides:
        return None
    says = len(sides) == 1 and any(is_head(entry) and not entry.size for entry in entries)
    for entry in tone(sentence).said:
        if entry.side in _OTHER and (known == {_OTHER[entry.side]} or (not known and says)):
            return entry.side
    return None


_APEX = """\
Technique: Chest radiograph.
View: PA
Findings: Scarring at the left apex. Deformity of the L2 vertebral body.
Impression: No acute disease."""

PASSES = (
    Case(ten()),
    Case(ten({5: "The changes lie at the left apex.", 9: "A deformity is seen at L2."}, _APEX), None, _APEX),
    Case(ten({5: "The right base is clear, and nothing else is seen there."}, _APEX), None, _APEX),
    Case(ten({9: "First, each rib is followed: none is broken."}, _APEX), None, _APEX),
)
FAILS = (
    Case(ten({5: "The right one is smaller."}, _APEX), "unreported_location", _APEX),
    Case(ten({5: "The right one is hazy."}), "unreported_location"),
    Case(ten({5: "Something dense occupies the right apex."}, _APEX), "unreported_location", _APEX),
    Case(ten({9: "A deformed vertebra stands at L4."}, _APEX), "unreported_location", _APEX),
)
