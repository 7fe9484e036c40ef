"""What a finished run costs to look at and to go on with: `python -m benchmarks.status [--rows 2000 20000 50000]`.

    status      `tenstep status RUN`
    go through  `tenstep curate` on a run that does not say which studies have come to an end, as those of earlier
                versions: every verdict is read, and compared with the others, and the tables are written; with --ended
                the studies are passed over, and only their traces read
    go on       `tenstep curate` with 100 further studies: those that have their end are passed over
    afresh      the same again after a call that was killed, which leaves none of the files that make it shorter
    finished    the same once more: nothing is left to do, and the manifest says so

Each command runs in a process of its own; seconds include the start of Python. The runs are made (made_runs.py). With
--ended they say which studies have come to an end, as those of today: going through 450,000 takes a while.
"""

import argparse
import tempfile
import time
from pathlib import Path

from .fresh import command
from .made_runs import make_run

_LEFT = 100


def measure(rows: int, *, ended: bool = False) -> None:
    """Make a run of so many studies and print a line for each command."""
    with tempfile.TemporaryDirectory() as place:
        since = time.process_time()
        again = make_run(Path(place), rows, left=2 * _LEFT, ended=ended)
        run = Path(place) / "run"
        size = (run / "journal.db").stat().st_size / rows
        print(f"{rows:7,} studies, {size / 1024:.1f} KB of journal each, made in {time.process_time() - since:.0f} s")
        commands = {"go through": [*again, "--limit", str(rows)], "status": ["status", str(run), "--json"]}
        commands |= {"go on": [*again, "--limit", str(rows + _LEFT)], "afresh": again, "finished": again}
        for name, words in commands.items():
            for file in run.glob("*.cache") if name == "afresh" else ():
                file.unlink()
            took = command(words)
            print(f"{'':16}{name:12}{took.seconds:8.2f} s {took.cpu:8.2f} s of CPU {took.mb:6.0f} MB", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 20_000, 50_000])
    parser.add_argument("--ended", action="store_true", help="the runs say which studies have come to an end")
    args = parser.parse_args()
    for rows in args.rows:
        measure(rows, ended=args.ended)


if __name__ == "__main__":
    main()
