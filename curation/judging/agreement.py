"""Agreement: how far two teachers that worked on the same studies say the same, and are judged the same.

What a trace asserts is its set of (finding, status) in all steps, as the rules read them. Agreement in text is
not agreement in truth: two teachers that copy the same reference agree.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import get_args

from pydantic import Field

from ...data.judged import Judged
from ...data.statistics import kappa
from ...schemas.base import Noun
from ...schemas.candidate import Candidate
from ...schemas.verdict import Outcome


class TeacherAgreement(Noun):
    """Two teachers."""

    teachers: tuple[str, str]
    studies: int = Field(description="Judged for both.")
    same_verdict: float = Field(description="Share of them on which first attempts were judged the same.")
    kappa: float | None = Field(description="The same beyond chance (Cohen); none if chance explains everything.")
    same_claims: float | None = Field(description="Mean Jaccard index of what the traces assert; none without traces.")


def agreements(judged: Iterable[Judged], teachers: Sequence[str]) -> tuple[TeacherAgreement, ...]:
    """Every pair of teachers that share studies; each teacher's first attempt and first sample counts."""
    firsts: dict[str, dict[str, tuple[Outcome, frozenset[tuple[str, str]] | None]]] = {}
    for candidate, verdict in judged:
        if candidate.attempt == 1 and candidate.sample == 0:
            firsts.setdefault(candidate.teacher, {})[candidate.study_id] = (verdict.outcome, _asserts(candidate))
    found = []
    for one, other in combinations([name for name in dict.fromkeys(teachers) if name in firsts], 2):
        shared = firsts[one].keys() & firsts[other].keys()
        if shared:
            found.append(_compare(one, other, [(firsts[one][study], firsts[other][study]) for study in shared]))
    return tuple(found)


Seen = tuple[Outcome, frozenset[tuple[str, str]] | None]


def _compare(one: str, other: str, pairs: Sequence[tuple[Seen, Seen]]) -> TeacherAgreement:
    import numpy as np

    outcomes = get_args(Outcome)
    table = np.zeros((len(outcomes), len(outcomes)))
    for a, b in pairs:
        table[outcomes.index(a[0]), outcomes.index(b[0])] += 1
    beyond_chance = float(kappa(table, 1 - np.eye(len(outcomes))))
    alike = [_jaccard(a[1], b[1]) for a, b in pairs if a[1] is not None and b[1] is not None]
    return TeacherAgreement(
        teachers=(one, other),
        studies=len(pairs),
        same_verdict=float(table.trace()) / len(pairs),
        kappa=None if math.isnan(beyond_chance) else beyond_chance,
        same_claims=sum(alike) / len(alike) if alike else None,
    )


def _asserts(candidate: Candidate) -> frozenset[tuple[str, str]] | None:
    if candidate.trace is None:
        return None
    from ...validators.findings import claims  # its lexicons take longer than all else that `tenstep status` loads

    return frozenset((claim.finding, claim.status) for text in candidate.trace.texts for claim in claims(text))


def _jaccard(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0
