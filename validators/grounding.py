"""Grounding: the steps' claims beside the reference's. What every rule of the grounding group starts from; no rule
itself.

Texts past the limits are not read: `length.py` rejects them, and reading has to stay cheap on hostile input.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import STEPS
from .findings import Claim, claims
from .findings.lexicon import lexicon
from .findings.reference import GENERIC, Reference, read_reference, relations
from .steps import per_candidate, steps_of

REPORT_LIMIT = 10_000  # characters of a reference that are read

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


@lru_cache(maxsize=8192)
def read_claims(text: str) -> tuple[Claim, ...]:
    """The claims of a step, read once."""
    return claims(text)


@per_candidate
def said(candidate: Candidate) -> tuple[Said, ...]:
    """Every claim of every step."""
    return tuple(Said(at, text, claim) for at, text in steps_of(candidate) for claim in read_claims(text))


def concludes(position: int, text: str) -> bool:
    """Whether a step states the result: the last one, or one that opens with "Conclusion" or the like."""
    return position == STEPS or _CONCLUDES.match(text) is not None


def name(finding: str) -> str:
    """A finding's name as people write it."""
    return finding.replace("_", " ")


def is_device(finding: str) -> bool:
    """Whether the name is that of a device or of what surgery leaves behind."""
    return finding in lexicon().devices


def described(reference: Reference, here: Said) -> bool:
    """Whether a general word and a reported finding of the same sentence are one thing ("dense dots in the lungs
    correspond to granulomas"): the general word then asserts no more than the finding does."""
    claim = here.claim
    if claim.finding not in GENERIC or claim.device:
        return False
    near = relations().related[claim.finding] | relations().same[claim.finding]
    return any(
        other.sentence == claim.sentence
        and other.finding in near
        and other.status == "present"
        and reference.standing(other) == "supported"
        for other in read_claims(here.text)
    )
