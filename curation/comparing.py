"""Two runs over the same studies, paired: which studies each accepts, what it cost, and whether the difference is one.

The test is McNemar's, exact (binomial, two-sided), on studies that both runs judged and only one accepted.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from ..data.run import RunFolder
from ..data.statistics import mcnemar
from ..schemas.base import Noun
from ..schemas.errors import InputError


class Side(Noun):
    """One of the two."""

    run: str
    name: str
    studies: int
    accepted: int
    attempts: int
    spend_usd: float | None
    codes: dict[str, int]


class RunComparison(Noun):
    """The contract of `tenstep compare --json`."""

    runs: tuple[Side, Side]
    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float
    same_recipe: bool
    differs: dict[str, tuple[Any, Any]]


def compare(first: Path, second: Path) -> RunComparison:
    """Compare two runs.

    Raises:
        InputError: they judged no study in common.
    """
    sides, outcomes, recipes = [], [], []
    for path in (first, second):
        accepted: dict[str, bool] = {}
        codes: Counter[str] = Counter()
        attempts = 0
        with RunFolder.read(path) as run:
            manifest = run.manifest
            for candidate, verdict in run.judged():
                attempts += 1
                accepted[candidate.study_id] = accepted.get(candidate.study_id, False) or verdict.accepted
                if verdict.outcome != "accept":
                    codes.update(set(verdict.codes))
        outcomes.append(accepted)
        recipes.append(manifest.recipe)
        sides.append(
            Side(
                run=str(path),
                name=manifest.name,
                studies=len(accepted),
                accepted=sum(accepted.values()),
                attempts=attempts,
                spend_usd=manifest.spend_usd,
                codes=dict(codes.most_common()),
            )
        )
    shared = outcomes[0].keys() & outcomes[1].keys()
    if not shared:
        raise InputError(
            "the runs judged no study in common, so they cannot be compared in pairs; name runs over the same studies",
            file=second,
        )
    pairs = Counter((outcomes[0][study], outcomes[1][study]) for study in shared)
    changed = {key: (recipes[0].get(key), recipes[1].get(key)) for key in sorted({*recipes[0], *recipes[1]})}
    return RunComparison(
        runs=(sides[0], sides[1]),
        both=pairs[True, True],
        only_first=pairs[True, False],
        only_second=pairs[False, True],
        neither=pairs[False, False],
        p_value=mcnemar(pairs[True, False], pairs[False, True]),
        same_recipe=recipes[0] == recipes[1],
        differs={key: value for key, value in changed.items() if value[0] != value[1]},
    )
