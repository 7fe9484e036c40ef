"""What is measured of one trace: per step its length, what it claims and how that stands to the reference, what it
copies from it, and how early the conclusion is given away. It judges nothing: rules do.

    words       letters and digits, in lower case
    claim       one assertion of the findings engine; a normal organ ("the lungs are clear") counts once
    standing    supported: the reference asserts or denies the same; contradicted: it says the opposite;
                silent: it does not mention it, which is not called false: the image may show it
    copied      share of a step's four-word phrases that stand in the reference as well
    conclusion  findings that the impression asserts (the whole reference, where it has no impression)
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Literal, NamedTuple

from ...schemas.trace import STEPS, Trace
from ...validators.findings import Claim, claims
from ...validators.findings.reference import Reference, read_reference, relations
from ...validators.findings.text import headed_sentences
from .sketch import Sketch, sketch
from .templates import sentence_key

Standing = Literal["supported", "silent", "contradicted"]
STANDINGS: tuple[Standing, ...] = ("supported", "silent", "contradicted")
RUN = 4  # words
_WORD = re.compile(r"[^\W_]+")
_LONGEST = 20_000  # characters of one step or report that are measured
_SHORT_REPORT = 20  # words; shorter reports, being normal ones, repeat by nature
_CONCLUSIONS = ("impression", "conclusion", "opinion")
_SAID = ("present", "uncertain")


@dataclass(frozen=True, slots=True)
class StepMeasure:
    """One step."""

    words: int
    standings: dict[Standing, int]  # claims
    runs: int  # of four words
    copied: int  # of them, in the reference


@dataclass(frozen=True, slots=True)
class TraceMeasure:
    """One trace."""

    steps: tuple[StepMeasure, ...]  # the first ten
    covered: dict[str, bool]  # findings that the reference asserts or leaves open: does a step mention them?
    concluded: int | None  # the first step that gives away the conclusion, from 1; 0: none does; none: nothing to give


class MeasuredTrace(NamedTuple):
    """All that an audit counts of one trace, small enough to come from another process."""

    measure: TraceMeasure
    sentences: tuple[tuple[int, str], ...]  # of the first ten steps: a hash of its words, and its beginning
    steps: Sketch
    report: Sketch  # the reference
    long_report: bool  # long enough that being like another says something


def measured(trace: Trace | None, report: str) -> MeasuredTrace | None:
    """Measure a trace that could be read, and sketch it."""
    if trace is None:
        return None
    tokens = [words(step.text) for step in trace.steps]
    known = words(report)
    sentences = tuple(
        (sentence_key(found), step.text[:300]) for step, found in zip(trace.steps[:STEPS], tokens, strict=False)
    )
    return MeasuredTrace(
        measure(trace, report),
        sentences,
        sketch([word for step in tokens for word in step if not word.isdecimal()]),
        sketch([word for word in known if not word.isdecimal()]),
        len(known) >= _SHORT_REPORT,
    )


@lru_cache(maxsize=64)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in lower case."""
    return tuple(_WORD.findall(text[:_LONGEST].lower()))


def runs(tokens: Sequence[str], length: int = RUN) -> Iterator[tuple[str, ...]]:
    """Every run of so many words."""
    return zip(*(tokens[at:] for at in range(length)), strict=False)


def measure(trace: Trace, report: str) -> TraceMeasure:
    """Measure a trace against its reference."""
    report = report[:_LONGEST]
    reference = read_reference(report)
    known = _report_runs(report)
    read = [_readable(step.text) for step in trace.steps[:STEPS]]
    return TraceMeasure(
        steps=tuple(
            _step(step.text, found, reference, known) for step, found in zip(trace.steps[:STEPS], read, strict=True)
        ),
        covered=_covered(reference, read),
        concluded=_concluded(reference, read),
    )


@lru_cache(maxsize=64)
def _report_runs(report: str) -> frozenset[tuple[str, ...]]:
    return frozenset(runs(words(report)))


def _readable(text: str) -> list[Claim]:
    return [*claims(text[:_LONGEST])]


def _step(text: str, found: Sequence[Claim], reference: Reference, known: frozenset[tuple[str, ...]]) -> StepMeasure:
    tokens = words(text)
    mine = list(runs(tokens))
    standings: dict[Standing, int] = dict.fromkeys(STANDINGS, 0)
    for claim_standing in _standings(found, reference):
        standings[claim_standing] += 1
    return StepMeasure(len(tokens), standings, len(mine), sum(run in known for run in mine))


def _standings(found: Iterable[Claim], reference: Reference) -> Iterator[Standing]:
    for (_, implied), group in groupby(found, key=lambda claim: (claim.span, claim.implied)):
        each = [_standing(claim, reference) for claim in group]
        if not implied:
            yield from each
        elif "contradicted" in each:
            yield "contradicted"
        else:
            yield "supported" if "supported" in each else "silent"


def _standing(claim: Claim, reference: Reference) -> Standing:
    if claim.status in _SAID:
        match reference.standing(claim):
            case "supported" | "related":
                return "supported"
            case "denied":
                return "contradicted"
            case _:
                return "silent"
    if reference.contradicted(claim) is not None:
        return "contradicted"
    return "supported" if claim.finding in reference.absent or claim.finding in reference.implied else "silent"


def _covered(reference: Reference, read: Sequence[Sequence[Claim]]) -> dict[str, bool]:
    """Whatever a step says of it: that it says the wrong thing is a contradiction, not a gap."""
    table = relations()
    spoken = {claim.finding for found in read for claim in found}
    asserted = dict.fromkeys((*reference.present, *reference.uncertain))
    return {
        name: not spoken.isdisjoint(table.same.get(name, {name}) | table.related.get(name, frozenset()))
        for name in asserted
    }


def _concluded(reference: Reference, read: Sequence[Sequence[Claim]]) -> int | None:
    conclusion = {
        claim.finding
        for start, end, _ in _conclusion(reference.text)
        for group in (*reference.present.values(), *reference.uncertain.values())
        for claim in group
        if start <= claim.span[0] < end and not claim.device
    }
    if not conclusion:
        return None
    for number, found in enumerate(read, 1):
        if any(claim.finding in conclusion and claim.status in _SAID for claim in found):
            return number
    return 0


def _conclusion(report: str) -> list[tuple[int, int, str]]:
    sentences = headed_sentences(report)
    return [one for one in sentences if one[2].startswith(_CONCLUSIONS)] or sentences
