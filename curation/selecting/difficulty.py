"""Difficulty: how often a student fails on a study, or, without a student, how rare its findings are.

The failure rate is the share of a student's samples (a run of `tenstep sample`, k for each study) that are not
accepted. Rarity is the information of the rarest finding, log2(studies / studies with it); a study without findings
has none.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...data.run import RunFolder
from ...schemas.errors import InputError
from .pool import PoolExample


def failures(samples: Path) -> dict[str, tuple[int, int]]:
    """Failed and all samples of each study.

    Args:
        samples: a run of `tenstep sample`.

    Raises:
        InputError: it is another kind of run.
    """
    found: dict[str, tuple[int, int]] = {}
    with RunFolder.read(samples) as run:
        if run.manifest.kind != "sample":
            raise InputError(f"holds a {run.manifest.kind} run; a run of tenstep sample is wanted", file=samples)
        for candidate, verdict in run.judged():
            failed, every = found.get(candidate.study_id, (0, 0))
            found[candidate.study_id] = (failed + (not verdict.accepted), every + 1)
    return found


def difficulty(rows: Sequence[PoolExample], sampled: Mapping[str, tuple[int, int]] | None) -> int:
    """Set the difficulty of every row, the higher the harder.

    Args:
        rows: with their findings.
        sampled: from `failures`; none: rarity.

    Returns:
        How many rows have no sample. They get the mean failure rate of the others, so that nothing is known of them.
    """
    if sampled is None:
        _rarity(rows)
        return 0
    rates = [sampled[row.study_id][0] / sampled[row.study_id][1] for row in rows if row.study_id in sampled]
    if not rates:
        raise InputError("none of the studies to choose from was sampled; sample the same studies")
    mean = round(sum(rates) / len(rates), 6)
    for row in rows:
        failed, every = sampled.get(row.study_id, (0, 0))
        row.difficulty = round(failed / every, 6) if every else mean
        row.why = f"the student failed {failed} of {every}" if every else "not sampled"
    return len(rows) - len(rates)


def _rarity(rows: Sequence[PoolExample]) -> None:
    seen = Counter(name for row in rows for name in row.findings)
    for row in rows:
        rarest = min(row.findings, key=lambda name: (seen[name], name), default=None)
        row.difficulty = 0.0 if rarest is None else round(math.log2(len(rows) / seen[rarest]), 6)
        row.why = "no finding" if rarest is None else f"{rarest} in {seen[rarest]} of {len(rows)}"
