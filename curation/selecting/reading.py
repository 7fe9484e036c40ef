"""From runs to the pool: gates while it is read, and of a pool that is too large a stratified sample by hash."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from ...data.selection import Sourced, examples_of
from .gates import Gates
from .pool import Candidate, present, row_of
from .stages import Funnel, Removed

_SOME = 1024
_Strata = defaultdict[tuple[str, ...], list[tuple[int, int, Candidate]]]


def read(
    runs: Sequence[Path],
    gates: Gates,
    funnel: Funnel,
    *,
    limit: int,
    studies: Path | None = None,
    on_row: Callable[[], None] = lambda: None,
) -> tuple[list[Candidate], list[str], tuple[int, ...]]:
    """Read every accepted example, and keep what the gates let through.

    Args:
        runs: run folders.
        gates: what is not learned from.
        funnel: takes the rows that leave.
        limit: of a larger pool, so many are kept: of each stratum (source, views) the same share, by hash.
        studies: the study store of all runs, if it moved.
        on_row: called for every row that was read.

    Returns:
        the rows by id, each with its findings; the ids of all examples, sorted; and how many each run had.
    """
    seen: list[str] = []
    each: list[int] = []
    closed: Counter[str] = Counter()
    strata: _Strata = defaultdict(list)
    sizes: Counter[tuple[str, ...]] = Counter()
    for number, run in enumerate(runs):
        rows = examples_of(run, studies=studies)
        before = len(seen)
        while some := list(islice(rows, _SOME)):
            for row, reason in _gated(number, some, gates):
                on_row()
                seen.append(row.id)
                if reason is not None:
                    closed[reason] += 1
                    funnel.drop(Removed(row, "gates", reason))
                    continue
                stratum = (row.source, *row.views)
                sizes[stratum] += 1
                _keep(strata[stratum], row, len(seen), limit, funnel)
        each.append(len(seen) - before)
    passed = sizes.total()
    funnel.count("gates", len(seen), passed, closed)
    kept = _shortened(strata, sizes, limit, funnel)
    if passed > limit:
        funnel.count("sample", passed, len(kept), {"not in the sample": passed - len(kept)})
    for row in kept:
        row.findings = row.findings or present(row.report)
        row.report = ""  # it stands in the text as well
    return sorted(kept, key=lambda row: (row.id, row.key)), sorted(seen), tuple(each)


def _gated(number: int, some: Sequence[Sourced], gates: Gates) -> Iterator[tuple[Candidate, str | None]]:
    rows = [row_of(number, one) for one in some]
    if gates.compares:
        for row in rows:
            row.findings = present(row.report)
    asked = [(one.example.study, one.store, bool(row.findings)) for one, row in zip(some, rows, strict=True)]
    reasons = gates.closed(asked)
    for row in rows:
        yield row, reasons.get(row.study_id)


def _keep(heap: list[tuple[int, int, Candidate]], row: Candidate, order: int, limit: int, funnel: Funnel) -> None:
    """The rows with the lowest hashes, at most `limit` of a stratum, so that memory does not grow with the pool."""
    item = (-int(row.id, 16), -order, row)
    if len(heap) < limit:
        heapq.heappush(heap, item)
    else:
        funnel.drop(Removed(heapq.heappushpop(heap, item)[2], "sample", "not in the sample"))


def _shortened(strata: _Strata, sizes: Counter[tuple[str, ...]], limit: int, funnel: Funnel) -> list[Candidate]:
    if sizes.total() <= limit:
        return [row for heap in strata.values() for _, _, row in heap]
    kept: list[Candidate] = []
    for stratum in sorted(strata):
        heap = sorted(strata[stratum], reverse=True)
        room = max(1, sizes[stratum] * limit // sizes.total())
        kept += [row for _, _, row in heap[:room]]
        for _, _, row in heap[room:]:
            funnel.drop(Removed(row, "sample", "not in the sample"))
    return kept
