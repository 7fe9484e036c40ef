"""Peak memory of this process. `ru_maxrss` will not do on Linux: it keeps the peak of the parent process."""

import re
import resource
import sys
from pathlib import Path


def peak_megabytes() -> float:
    """The most memory that this process has held, in MB (1024 * 1024 bytes)."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
