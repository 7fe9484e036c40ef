"""A `tenstep` command in a process of its own, and what it took."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
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
    without its workers; and its JSON."""

    seconds: float
    cpu: float
    mb: float
    said: dict[str, Any]


def command(words: Sequence[str]) -> Took:
    """Run a command that prints JSON.

    Raises:
        SystemExit: it failed; with what it said.
    """
    since = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - since
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"code": done.returncode}
    if found["code"]:
        raise SystemExit(f"tenstep {' '.join(words)} ended with {found['code']}: {done.stderr.strip()[-500:]}")
    return Took(seconds, found["cpu"], found["mb"], found["said"])
