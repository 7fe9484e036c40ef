"""The stages before diversity: each shortens the pool and writes down how many left it, and why.

Quality and difficulty keep the better share of every stratum (normal or not, source, views), so that neither decides
the mix, and all that ties with the last row kept. Rows that a minimum needs stay in any case.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...data.similarity import Searched, Signature, band_keys, likeness
from ...data.splitting.alike import report_signature, stack
from ...schemas.selection import Stage
from .pool import PoolExample


class Removed(NamedTuple):
    """A row that left."""

    row: PoolExample
    stage: str
    reason: str


class Left(NamedTuple):
    """What removed.jsonl holds of a row that left; the row itself, with its text, is not kept in memory."""

    study_id: str
    key: str
    run: int
    stage: str
    reason: str


class Funnel:
    """Counts at every stage, and every row that left."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.left: list[Left] = []

    def drop(self, one: Removed) -> None:
        """A row leaves."""
        self.left.append(Left(one.row.study_id, one.row.key, one.row.run, one.stage, one.reason))

    def step(self, name: str, before: Sequence[PoolExample], gone: Iterable[Removed]) -> list[PoolExample]:
        """One more stage; gives the rows that are left, in their order."""
        ids, counts = set[int](), Counter[str]()
        for one in gone:
            ids.add(id(one.row))
            counts[_kind(one.reason)] += 1
            self.drop(one)
        after = [row for row in before if id(row) not in ids]
        self.count(name, len(before), len(after), counts)
        return after

    def count(self, name: str, before: int, after: int, removed: Mapping[str, int]) -> None:
        """A stage whose rows were dropped one by one."""
        self.stages.append(Stage(name=name, before=before, after=after, removed=dict(sorted(removed.items()))))


def _kind(reason: str) -> str:
    """A reason without the numbers of one row."""
    return reason.partition(":")[0]


def once(rows: Sequence[PoolExample]) -> Iterable[Removed]:
    """One example a study: the best, then the lowest id; the same example in two runs is one."""
    best: dict[tuple[str, str], PoolExample] = {}
    for row in sorted(rows, key=lambda row: (row.quality, row.id, row.key)):
        if best.setdefault((row.source, row.study_id), row) is not row:
            yield Removed(row, "one a study", "another trace of the study is as good or better")


def near(rows: Sequence[PoolExample], similarity: float) -> Iterable[Removed]:
    """Texts that are nearly those of a better row, by MinHash of runs of three words."""
    order = sorted(range(len(rows)), key=lambda at: (rows[at].quality, rows[at].id))
    if not order:
        return
    signatures = stack([_signature(rows[at]) for at in order])
    quarters = band_keys(signatures)
    # 8 bands of 8 minima: 99 % of pairs that are 0.9 alike agree in one, and 3 % of those that are half alike
    bands = quarters[:, ::2] * np.uint64(0x9E3779B97F4A7C15) ^ quarters[:, 1::2]
    better: defaultdict[int, list[int]] = defaultdict(list)
    for theirs, ours in Searched(bands).candidates(bands):
        alike = likeness(signatures[theirs], signatures[ours])
        for at in np.flatnonzero((alike >= similarity) & (ours < theirs)).tolist():
            better[int(theirs[at])].append(int(ours[at]))
    gone: set[int] = set()
    for place, at in enumerate(order):
        if any(other not in gone for other in better[place]):
            gone.add(place)
            yield Removed(rows[at], "near-duplicates", "nearly the text of a better row")


def _signature(row: PoolExample) -> Signature:
    return report_signature(row.text) if row.signature is None else row.signature


def better(
    rows: Sequence[PoolExample],
    name: str,
    *,
    key: Callable[[PoolExample], tuple[float, ...]],
    in_words: Callable[[PoolExample], str],
    share: float,
    at_least: int,
    needed: Callable[[PoolExample], bool],
) -> Iterable[Removed]:
    """What is not in the better share of its stratum.

    Args:
        rows: the pool so far.
        name: of the stage.
        key: lower is better.
        in_words: the key in words, for the reason.
        share: of each stratum that is kept, 0-1; 1 keeps all.
        at_least: rows; a pool no larger than this is left alone.
        needed: rows that a minimum needs.
    """
    if len(rows) <= at_least:
        return
    share = max(share, at_least / len(rows))
    strata: defaultdict[tuple[str, ...], list[PoolExample]] = defaultdict(list)
    for row in rows:
        strata[row.stratum].append(row)
    for stratum in sorted(strata):
        ordered = sorted(strata[stratum], key=lambda row: (key(row), row.id))
        last = key(ordered[math.ceil(share * len(ordered)) - 1])
        for row in ordered:
            if key(row) > last and not needed(row):
                yield Removed(row, name, f"not in the better {share:.0%} of its stratum: {in_words(row)}")
