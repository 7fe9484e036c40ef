"""Grounding: the steps' claims and the reference's. What every rule of the grounding group starts from; no rule
itself.

Texts past the limits are not read: `length.py` rejects them, and reading has to stay cheap on hostile input.
"""

import re
from typing import NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import STEPS
from .findings import Claim, claims, referring, sentences
from .findings.reference import Reference, read_reference
from .memory import remember
from .steps import per_candidate, steps_of

REPORT_LIMIT = 10_000  # characters of a reference that are read
_MEMORY, _CLAIM = 1_000_000, 450  # bytes in all, and of a claim, about

_CONCLUDES = re.compile(
    r"\W*(?:synthesis|conclusion|in conclusion|summary|in summary|overall|final|bottom line|to conclude|answer"
    r"|taken together"
    r"|putting it|in sum|all told|diagnosis|interpretation)\b",
    re.I,
)


class Said(NamedTuple):
    """One claim of a step."""

    step: int  # position from 1
    text: str
    claim: Claim

    @property
    def quote(self) -> str:
        """The words of the step that make the claim."""
        return self.claim.text

    @property
    def sentence(self) -> str:
        """The sentence of the step that makes the claim."""
        return self.text[self.claim.sentence[0] : self.claim.sentence[1]]


def reference_of(study: Study) -> Reference:
    """The facts of the study's report."""
    return read_reference(study.report[:REPORT_LIMIT])


@remember(_MEMORY, cost=lambda found: _CLAIM * len(found))
def read_claims(text: str) -> tuple[Claim, ...]:
    """The claims of a step, read once."""
    return claims(text)


@per_candidate
def said(candidate: Candidate) -> tuple[Said, ...]:
    """Every claim of every step."""
    return tuple(Said(at, text, claim) for at, text in steps_of(candidate) for claim in read_claims(text))


@per_candidate
def said_of_it(candidate: Candidate) -> tuple[Said, ...]:
    """What sentences without a claim of their own say of the finding or device named last ("it lies at the base")."""
    found: list[Said] = []
    last: Claim | None = None
    for position, text in steps_of(candidate):
        read = read_claims(text)
        for start, end in sentences(text):
            own = [claim for claim in read if start <= claim.span[0] < end]
            if own:
                last = next((claim for claim in reversed(own) if claim.status == "present" and not claim.implied), None)
            elif last is not None and (more := referring(text[start:end], last)):
                found.append(Said(position, text, more._replace(span=(start, end), sentence=(start, end))))
    return tuple(found)


def sided(study: Study, candidate: Candidate) -> frozenset[tuple[int, tuple[int, int]]]:
    """Step and span of each sentence whose side `location.py` compares with the reference's."""
    reference = reference_of(study)
    every = (*said(candidate), *said_of_it(candidate))
    return frozenset((h.step, h.claim.sentence) for h in every if h.claim.side and reference.counterparts(h.claim))


def disputed(study: Study, candidate: Candidate) -> frozenset[tuple[int, tuple[int, int]]]:
    """Step and span of each sentence that asserts what the reference denies or does not have: what else is wrong with
    it need not be said."""
    reference = reference_of(study)
    return frozenset(
        (here.step, here.claim.sentence)
        for here in said(candidate)
        if here.claim.status == "present"
        and not (here.claim.implied or weighed(here.claim))
        and reference.standing(here.claim) in ("denied", "unsupported")
    )


def concludes(position: int, text: str) -> bool:
    """Whether a step states the result: the last one, or one that opens with "Conclusion" or the like."""
    return position == STEPS or _CONCLUDES.match(text) is not None


def weighed(claim: Claim) -> bool:
    """Whether the words around a claim weigh, seek or deny it in a way that is not understood: no rule can judge it."""
    return claim.strength == "weak" and "strength.words" in claim.because


def name(finding: str) -> str:
    """A finding's name as people write it."""
    return finding.replace("_", " ")
