"""Rows a second through an audit, beside what scripts do; and memory: `python -m benchmarks.audit [--rows N]`.

The plain loop reads the same file, counts lines that open with a number, and compares the report with `==`. Then the
rules alone, then the whole audit with its measures, sketches and page. Memory is that of fresh processes over N rows,
4 N rows, and N rows whose reports are ten times as long: it should grow little with rows, and not with texts. The rows
are made here: the demo's reports, with the checklist's steps varied by a seed.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tenstep.curation.audit import audit
from tenstep.curation.auditing.examples import Examples
from tenstep.curation.auditing.items import items
from tenstep.curation.auditing.page import page
from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import report
from tenstep.validators.rule import STEPS

NUMBERED = re.compile(r"(?m)^\d{1,2}\. ")
PEAK = """
import resource, sys
from pathlib import Path
from tenstep.curation.audit import audit
from tenstep.curation.auditing.examples import Examples
with audit(Path(sys.argv[1]), Examples()) as found:
    found.summary()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write_rows(path: Path, count: int, longer: int = 1) -> Path:
    """A dataset of so many rows."""
    chance = random.Random(0)
    references = [report(phantom(seed, 16)[1]) for seed in range(60)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            reference = references[number % len(references)]
            if longer > 1:
                more = " ".join(f"word{chance.randrange(5_000)}" for _ in range((longer - 1) * len(reference) // 9))
                reference += f" The record notes {more}."
            steps = [f"{text.rstrip('.')}, field {chance.randrange(9)}." for text in STEPS]
            text = "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1)) + f"\n\n{reference}"
            file.write(json.dumps({"id": f"row-{number}", "text": text, "reference_report": reference}) + "\n")
    return path


def plain(path: Path) -> int:
    """What a script does."""
    good = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            steps, _, own = row["text"].partition("\n\n")
            good += len(NUMBERED.findall(steps)) == 10 and own == row["reference_report"]
    return good


def rules_alone(path: Path) -> None:
    """Reading and judging."""
    for _ in items(path):
        pass


def whole(path: Path) -> None:
    """Everything, the page included."""
    with audit(path, Examples()) as found:
        for _ in page([found]):
            pass


def seconds(work: Callable[[], object]) -> float:
    """Of this process, whatever others do to the machine."""
    started = time.process_time()
    work()
    return time.process_time() - started


def peak(path: Path) -> float:
    """Megabytes, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = write_rows(Path(folder) / "rows.jsonl", count)
        base = seconds(lambda: plain(path))
        print(f"{'':32}{'rows/s':>10}{'times plain':>14}")
        for name, work in (("plain loop", plain), ("rules alone", rules_alone), ("audit and page", whole)):
            took = seconds(lambda work=work: work(path))  # type: ignore[misc]  # bound now, not later
            print(f"{name:32}{count / took:>10,.0f}{took / base:>14,.1f}")
        few = peak(path)
        many = peak(write_rows(Path(folder) / "many.jsonl", 4 * count))
        long = peak(write_rows(Path(folder) / "long.jsonl", count, longer=10))
        growth = (many - few) * 1024 / (3 * count)
        print(f"\npeak memory, {count:,} rows        {few:>8,.0f} MB")
        print(f"peak memory, {4 * count:,} rows       {many:>8,.0f} MB  {growth:.1f} KB a row more")
        print(f"peak memory, reports ten times {long:>8,.0f} MB  {long / few:.2f} times")


if __name__ == "__main__":
    main()
