"""Machines that are no more than kernel namespaces: each has its name, network, processes, /tmp and home of its own.

    with two_machines(folder) as (first, second):
        first.run("tenstep", "doctor")

They reach each other at ADDRESSES, and nothing else; both see `folder`, as SHARED. Programs, and what is installed, are
this machine's. Nothing of this machine is changed, and all of it ends with the process that began it, however that
ends. Clocks, disks and kernel are one.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ADDRESSES = ("10.77.0.1", "10.77.0.2")
NAMES = ("alpha", "beta")
SHARED, HOME = Path("/tmp/shared"), Path("/tmp/home")
_ROOT = Path(__file__).parents[1]
_UNSHARE = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
# what lies in this machine's /tmp and is needed there is put into the new one, before that takes its place
_BEGIN = """
set -e
hostname "$1"
ip link set lo up
mount -t tmpfs tmpfs "$2"
mkdir "$2/home" "$2/shared"
mount --bind "$3" "$2/shared"
printf '127.0.0.1 localhost\\n10.77.0.1 alpha\\n10.77.0.2 beta\\n' > "$2/hosts"
: > "$2/none"
mount --bind "$2/hosts" /etc/hosts
mount --bind "$2/none" /etc/resolv.conf || true
mount -t tmpfs tmpfs /dev/shm
new=$2; shift 3
for kept; do mkdir -p "$new/${kept#/tmp/}"; mount --bind "$kept" "$new/${kept#/tmp/}"; done
mount --rbind "$new" /tmp
echo ready
exec cat
"""


def why_not() -> str | None:
    """Why there can be no such machines here, if so."""
    trial = "mount -t tmpfs tmpfs /mnt && hostname x && ip link add name left type veth peer name right"
    try:
        done = subprocess.run([*_UNSHARE, "sh", "-c", trial], capture_output=True, text=True, timeout=20)
    except FileNotFoundError as error:
        return f"there is no {error.filename}"
    said = " ".join(done.stderr.split())[:120] or "they end at once"
    return None if done.returncode == 0 else f"no namespaces for machines can be made here ({said}); this needs root"


class Machine:
    """One of them; `two_machines` makes it.

    Args:
        name: its host name.
        address: by which the other one reaches it.
        own: an empty folder.
        shared: the folder that both see.
    """

    def __init__(self, name: str, address: str, own: Path, shared: Path) -> None:
        self.name, self.address = name, address
        needed = {str(path) for path in map(Path, (_ROOT, sys.prefix, sys.base_prefix)) if path.is_relative_to("/tmp")}
        words = [*_UNSHARE, "sh", "-c", _BEGIN, "sh", name, str(own), str(shared), *sorted(needed)]
        # its first process reads until this one ends, and all its processes end with it
        self._first = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._first.pid
        assert self._first.stdout is not None and self._first.stdout.readline() == "ready\n"

    def words(self, *command: str | Path, **environment: str) -> list[str]:
        """What runs a command there, in its home; `python` and `tenstep` are this process's."""
        own = f"--pid=/proc/{self.pid}/ns/pid_for_children"
        enter = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--uts", own, "--"]
        kept = {"PATH": os.environ["PATH"], "HOME": str(HOME), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"} | environment
        python = {"python": [sys.executable], "tenstep": [sys.executable, "-m", "tenstep"]}
        first, *more = map(str, command)
        assigned = [f"{name}={value}" for name, value in kept.items()]
        return [*enter, "env", "-i", "-C", str(HOME), *assigned, *python.get(first, [first]), *more]

    def run(self, *command: str | Path, timeout: float = 120, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command there to its end."""
        words = self.words(*command, **environment)
        return subprocess.run(words, capture_output=True, text=True, timeout=timeout)

    @contextlib.contextmanager
    def start(self, *command: str | Path, **environment: str) -> "Iterator[subprocess.Popen[str]]":
        """Begin a command there; one that still runs when the block ends, does so until its machine ends."""
        with subprocess.Popen(self.words(*command, **environment), stdout=-1, stderr=-1, text=True) as started:
            try:
                yield started
            finally:
                started.kill()

    def kill(self) -> None:
        """SIGKILL for each of its processes; machine, network and disks stay."""
        here = str(Path("/proc/self/ns/pid").readlink())  # whose processes must never be meant
        code = f"import os; assert os.readlink('/proc/self/ns/pid') != {here!r}; os.kill(-1, 9)"
        self.run("python", "-c", code)

    def end(self) -> None:
        """End it, and all that runs there."""
        assert self._first.stdin is not None and self._first.stdout is not None
        self._first.stdin.close()
        self._first.wait(timeout=30)
        self._first.stdout.close()


@contextlib.contextmanager
def two_machines(folder: Path) -> Iterator[tuple[Machine, Machine]]:
    """Two of them, joined by a cable; `folder` is new, and what both see is `folder / "shared"`."""
    (folder / "shared").mkdir()
    with contextlib.ExitStack() as stack:
        machines = []
        for name, address in zip(NAMES, ADDRESSES, strict=True):
            (folder / name).mkdir()
            machines.append(Machine(name, address, folder / name, folder / "shared"))
            stack.callback(machines[-1].end)
        first, second = machines
        cable = ["ip", "link", "add", "eth0", "netns", str(first.pid), "type", "veth"]
        subprocess.run([*cable, "peer", "name", "eth0", "netns", str(second.pid)], check=True)
        for machine, other in ((first, second), (second, first)):
            up = f"ip addr add {machine.address}/24 dev eth0; ip link set eth0 up"
            assert machine.run("sh", "-ec", f"{up}; ip route add default via {other.address}").returncode == 0
        yield first, second
