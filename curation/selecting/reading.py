"""From runs to the pool: gates while it is read, and of a pool that is too large a stratified sample by hash."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from ...data.executor import Executor, sure
from ...data.processes import THIS_PROCESS
from ...data.selection import examples_of
from ...data.similarity import Signature
from ...data.splitting.alike import Looks, looks, report_signature
from ...schemas.example import Example
from ...schemas.study import Study
from .gates import Gates
from .pool import PoolExample, present, row_of
from .stages import Funnel, Removed

_SOME = 1024
_Strata = defaultdict[tuple[str, ...], list[tuple[int, int, PoolExample]]]


def read(
    runs: Sequence[Path],
    gates: Gates,
    funnel: Funnel,
    *,
    limit: int,
    studies: Path | None = None,
    on_row: Callable[[], None] = lambda: None,
    executor: Executor = THIS_PROCESS,
) -> tuple[list[PoolExample], list[str], tuple[int, ...]]:
    """Read every accepted example, and keep what the gates let through.

    Args:
        runs: run folders.
        gates: what is not learned from.
        funnel: takes the rows that leave.
        limit: of a larger pool, so many are kept: of each stratum (source, views) the same share, by hash.
        studies: the study store of all runs, if it moved.
        on_row: called for every row that was read.
        executor: reads them (data/executor.py).

    Returns:
        the rows by id, with findings and signatures; the ids of all examples, sorted; and how many each run had.
    """
    seen: list[str] = []
    each: list[int] = []
    closed: Counter[str] = Counter()
    strata: _Strata = defaultdict(list)
    sizes: Counter[tuple[str, ...]] = Counter()
    for number, run in enumerate(runs):
        examples = (one.example for one in examples_of(run, studies=studies))
        work = partial(_read, number, gates.compares)
        rows = (
            (example.study, *sure(found, f"study '{example.study.id}'"))
            for example, found in executor.map_rows(work, examples, _content)
        )
        before = len(seen)
        while some := list(islice(rows, _SOME)):
            for row, reason in _gated(some, gates):
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
    left = _shortened(strata, sizes, limit, funnel)
    if passed > limit:
        funnel.count("sample", passed, len(left), {"not in the sample": passed - len(left)})
    _complete(left, executor)
    return sorted(left, key=lambda row: (row.id, row.key)), sorted(seen), tuple(each)


def _content(example: Example) -> str:
    return example.model_dump_json()


def _read(number: int, compares: bool, examples: Sequence[Example]) -> list[tuple[PoolExample, Looks | None]]:
    """Rows, and what of their studies is compared with held-out ones: a function of the examples alone."""
    rows = [row_of(number, example) for example in examples]
    if not compares:
        return [(row, None) for row in rows]
    for row in rows:
        row.findings = present(row.report)
    return list(zip(rows, looks([(row.report, ()) for row in rows]), strict=True))


def _texts(row: PoolExample) -> str:
    return row.text + row.report


def _findings_and_signatures(rows: Sequence[PoolExample]) -> list[tuple[tuple[str, ...], Signature]]:
    return [(row.findings or present(row.report), report_signature(row.text)) for row in rows]


def _complete(rows: Sequence[PoolExample], executor: Executor) -> None:
    """What only rows need that the sample has kept."""
    for row, found in executor.map_rows(_findings_and_signatures, rows, _texts):
        row.findings, row.signature = sure(found, f"study '{row.study_id}'")
        row.report = ""  # it stands in the text as well


def _gated(
    some: Sequence[tuple[Study, PoolExample, Looks | None]], gates: Gates
) -> Iterator[tuple[PoolExample, str | None]]:
    reasons = gates.closed([(study, found, bool(row.findings)) for study, row, found in some])
    for _, row, _ in some:
        yield row, reasons.get(row.study_id)


def _keep(heap: list[tuple[int, int, PoolExample]], row: PoolExample, order: int, limit: int, funnel: Funnel) -> None:
    """The rows with the lowest hashes, at most `limit` of a stratum, so that memory does not grow with the pool."""
    item = (-int(row.id, 16), -order, row)
    if len(heap) < limit:
        heapq.heappush(heap, item)
    else:
        funnel.drop(Removed(heapq.heappushpop(heap, item)[2], "sample", "not in the sample"))


def _shortened(strata: _Strata, sizes: Counter[tuple[str, ...]], limit: int, funnel: Funnel) -> list[PoolExample]:
    if sizes.total() <= limit:
        return [row for heap in strata.values() for _, _, row in heap]
    kept: list[PoolExample] = []
    for stratum in sorted(strata):
        heap = sorted(strata[stratum], reverse=True)
        room = max(1, sizes[stratum] * limit // sizes.total())
        kept += [row for _, _, row in heap[:room]]
        for _, _, row in heap[room:]:
            funnel.drop(Removed(row, "sample", "not in the sample"))
    return kept
