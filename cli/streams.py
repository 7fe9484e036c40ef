"""The three streams that a process is given: one that is closed or is no UTF-8, and a reader that has left."""

import io
import os
import select
import sys
from contextlib import suppress


def open_streams() -> None:
    """Give a process that was started with a closed stream (`2>&-`) one that leads nowhere.

    Otherwise the next file that is opened takes its number, and whatever a library prints goes into that file. A letter
    that the locale's encoding does not have (LC_ALL=C) is printed as its code point.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 for the whole process

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def takes_every_letter() -> bool:
    """Whether standard output is UTF-8, in which JSON may be written as it is."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def reader_left() -> bool:
    """Whether nothing reads standard output any longer, as after `| head -1`; a broken pipe may be another one."""
    with suppress(OSError, ValueError):  # ValueError: it is no file, or was closed
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    return False


def print_nowhere() -> None:
    """Let what is left to print go nowhere: python would complain of it at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
