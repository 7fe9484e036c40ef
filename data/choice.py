"""Choice: which of several accepted candidates for one study becomes its example.

The order is deterministic and says nothing of style: fewest warnings, then fewest repairs, then the teacher that
the recipe names first, then the lowest sample index, then the key.
"""

from collections.abc import Sequence

from ..schemas.candidate import Candidate
from ..schemas.verdict import Verdict

Rank = tuple[int, int, int, int, str]


def rank(candidate: Candidate, verdict: Verdict, teachers: Sequence[str]) -> Rank:
    """The lowest is chosen.

    Args:
        candidate: accepted.
        verdict: its own.
        teachers: names in the recipe's order.
    """
    place = teachers.index(candidate.teacher) if candidate.teacher in teachers else len(teachers)
    return len(verdict.findings), candidate.attempt, place, candidate.sample, candidate.key
