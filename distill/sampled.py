"""What a student's answers are worth, counted: form, grounding, coverage, each with an interval by patient.

A share is a mean over answers; its interval is Wilson's at 95 %, with the number of patients for the number of trials,
because answers about one patient are no independent trials (and bootstraps of a share that is 1 have no width).

Steps are what the rules of grounding read. Of an answer that is a report alone, its sentences are read in their place,
for these figures only; its verdict is about form and honesty.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..data.ids import patient_key
from ..data.judged import Judged
from ..data.statistics import wilson
from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import Step, Trace
from ..validators import coverage, gate, substance
from ..validators.findings.reference import abnormal
from ..validators.grounding import reference_of, said
from ..validators.samples import well_formed

_GROUNDING = tuple(rule for rule in gate.group("grounding") if rule not in (coverage, substance))
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_HEADER = re.compile(r"^(?:Technique|View|Findings|Impression):\s*")


class Share(NamedTuple):
    """A share of answers, or of findings."""

    value: float
    low: float
    high: float
    of: int  # what was counted
    patients: int

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%}; {self.of:,} of {self.patients:,} patients)"


class Figures(NamedTuple):
    """Shares of a set of answers; none where there was nothing to count."""

    answers: int
    well_formed: Share | None
    accepted: Share | None
    grounded: Share | None  # no error or doubt about what it says, among the answers that can be read
    coverage: Share | None  # the reference's abnormal findings that the answer asserts too


def share(hits: float, of: int, patients: int) -> Share | None:
    """A share with Wilson's interval, as wide as so many patients make it."""
    if not of:
        return None
    return Share(*wilson(hits, of, patients), of, patients)


def figures(judged: Iterable[Judged], studies: Mapping[str, Study], *, steps: bool) -> Figures:
    """Count.

    Args:
        judged: answers and their verdicts.
        studies: those they are about, by id.
        steps: whether ten steps were requested, or a report alone.
    """
    whose: set[str] = set()  # patients, each with its source: two sources may call two persons the same
    read: set[str] = set()
    seen: set[str] = set()
    answers = formed = accepted = readable = grounded = 0
    found = agreeing = 0
    for candidate, verdict in judged:
        study = studies[candidate.study_id]
        patient = f"{study.source}/{patient_key(study.patient_id)}"
        whose.add(patient)
        answers += 1
        formed += well_formed(verdict)
        accepted += verdict.accepted
        shadow = candidate if steps else _sentences(candidate)
        if shadow.trace is None or not shadow.trace.steps:
            continue
        readable += 1
        read.add(patient)
        grounded += all(found.severity == "warning" for found in gate.findings(_GROUNDING, study, shadow))
        wanted = sum(1 for _ in abnormal(reference_of(study)))
        if wanted:
            seen.add(patient)
            found += wanted
            agreeing += agreeing_claims(study, shadow)
    return Figures(
        answers=answers,
        well_formed=share(formed, answers, len(whose)),
        accepted=share(accepted, answers, len(whose)),
        grounded=share(grounded, readable, len(read)),
        coverage=share(agreeing, found, len(seen)),
    )


def agreeing_claims(study: Study, candidate: Candidate) -> int:
    """How many of the reference's abnormal findings some step asserts, or leaves open; to deny one is not to agree."""
    asserted = frozenset(here.claim.finding for here in said(candidate) if here.claim.status != "absent")
    present = list(abnormal(reference_of(study)))
    return len(present) - len(coverage.uncovered(present, asserted))


def _sentences(candidate: Candidate) -> Candidate:
    """A report's sentences where steps would be."""
    report = candidate.trace.report if candidate.trace is not None else None
    texts = [_HEADER.sub("", part).strip() for part in _SENTENCE.split(report or "")]
    steps = tuple(Step(number=at, text=text) for at, text in enumerate(filter(None, texts), 1))
    return candidate.model_copy(update={"trace": Trace(steps=steps, report=report)})
