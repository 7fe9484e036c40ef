"""A `tenstep` command in a process of its own, and what it took.

A second of the processor does more on a quiet machine than on a busy one, whose caches and memory are shared. So while
a command runs, a fixed piece of work is timed once a second: its mean is the pace of the machine in that time.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from statistics import mean
from typing import Any, NamedTuple

# the peak since it was executed: what getrusage says begins with the parent's
_SCRIPT = """
import contextlib, io, json, os, sys
from pathlib import Path
from tenstep.__main__ import main
out = io.StringIO()
with contextlib.redirect_stdout(out):
    code = main(sys.argv[1:])
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"code": code, "cpu": sum(os.times()[:4]), "mb": peak, "said": json.loads(out.getvalue() or "{}")}))
"""


class Took(NamedTuple):
    """Seconds on the clock, start of Python included; seconds of processor, its workers' too; MB that it held at most,
    without its workers; its JSON; and the milliseconds of processor that the fixed piece of work took meanwhile."""

    seconds: float
    cpu: float
    mb: float
    said: dict[str, Any]
    pace: float


def command(words: Sequence[str]) -> Took:
    """Run a command that prints JSON.

    Raises:
        SystemExit: it failed; with what it said.
    """
    paces, over = [_fixed_work()], threading.Event()
    timer = threading.Thread(target=_keep_time, args=(paces, over))
    timer.start()
    since = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - since
    over.set()
    timer.join()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"code": done.returncode}
    if found["code"]:
        raise SystemExit(f"tenstep {' '.join(words)} ended with {found['code']}: {done.stderr.strip()[-500:]}")
    return Took(seconds, found["cpu"], found["mb"], found["said"], mean(paces))


def _keep_time(paces: list[float], over: threading.Event) -> None:
    while not over.wait(1):
        paces.append(_fixed_work())


def _fixed_work() -> float:
    """Make, sort and join texts, some MB of them; milliseconds of processor."""
    since = time.thread_time()
    rows = {str(number * 7_919 % 10_007): (number, str(number)) for number in range(10_007)}
    "".join(rows[key][1] for key in sorted(rows))
    return (time.thread_time() - since) * 1000
