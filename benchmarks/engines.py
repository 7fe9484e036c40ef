"""Ray beside our own processes on one machine: `python -m benchmarks.engines [--rows N] [--rounds N]`.

The verdicts on the same rows: in one process, in as many as there are cores, and on a Ray cluster of this machine with
as many processors. Seconds on the wall, with the start of the processes or of the cluster and without; rounds take
turns, and the median is shown. Memory is that of all processes together (PSS: what is shared counts once).
"""

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from tenstep.curation.auditing.items import Item, items
from tenstep.data.executor import Executor
from tenstep.data.processes import Processes, cores
from tenstep.data.ray_executor import RayExecutor

from .audit import write_rows


def read(path: Path, executor: Executor) -> tuple[float, list[Any]]:
    """Seconds from the first verdict to the last, so without the start; and what the verdicts are."""
    results, since = [], 0.0
    for found in items(path, executor=executor):
        since = since or time.perf_counter()
        assert isinstance(found, Item)  # the rows are made to be read
        results.append((found.id, found.verdict.outcome, found.verdict.codes))
    return time.perf_counter() - since, results


WAYS: dict[str, Callable[[], AbstractContextManager[Executor]]] = {
    "one process": lambda: nullcontext(Processes(1)),
    "processes": lambda: nullcontext(Processes(cores())),
    "Ray": RayExecutor,
}


def run(name: str, path: Path, out: Any) -> None:
    """One way, in a process of its own."""
    started = time.perf_counter()
    with WAYS[name]() as executor:
        working, results = read(path, executor)
        took = time.perf_counter() - started
    out.send((took, working, hash(repr(results))))


def children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue
        found.setdefault(parent, []).append(int(stat.parent.name))
    return found


def megabytes(root: int) -> float:
    """Of a process and all below it."""
    below, left, total = children(), [root], 0
    while left:
        pid = left.pop()
        left += below.get(pid, [])
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def measured(name: str, path: Path) -> tuple[float, float, float, int]:
    """Seconds in all, seconds of work, peak memory, and a mark of the results."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=run, args=(name, path, theirs))
    peak, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.5):
            peak = max(peak, megabytes(process.pid or 0))

    process.start()
    watcher = threading.Thread(target=watch)
    watcher.start()
    took, working, mark = ours.recv()
    over.set()
    watcher.join()
    process.join()
    return took, working, peak, mark


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    import os

    os.environ.setdefault("PYTHONHASHSEED", "0")  # the mark of the results is a hash
    found: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = write_rows(Path(folder) / "rows.jsonl", args.rows)
        for _ in range(args.rounds):
            for name, rounds in found.items():
                rounds.append(measured(name, path))
    base = statistics.median(one[0] for one in found["processes"])
    print(f"{args.rows:,} rows, {cores()} cores, median of {args.rounds} rounds\n")
    print(f"{'':14}{'seconds':>10}{'of it work':>12}{'times processes':>18}{'peak MB':>10}")
    for name, rounds in found.items():
        took, working, peak = (statistics.median(one[at] for one in rounds) for at in range(3))
        print(f"{name:14}{took:>10.1f}{working:>12.1f}{took / base:>18.2f}{peak:>10,.0f}")
    print(f"\nthe same results: {len({one[3] for rounds in found.values() for one in rounds}) == 1}")


if __name__ == "__main__":
    main()
