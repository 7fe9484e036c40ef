"""A time limit on one piece of work, for parsers that damaged bytes can keep busy for ever."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

MAX_SECONDS = 30  # of decoding an image; the largest films take one or two


class TooSlowError(BaseException):
    """The time is up. Not an `Exception`, since parsers catch those and go on."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TooSlowError inside the block when the time is up.

    It acts between two instructions of Python, on the main thread of a process: what runs on other threads, or inside
    one call of a compiled library, is not interrupted (decoder.py is for that). An alarm that was set before rings
    after the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second: the first may be caught
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, interval)


def _ring(*_: object) -> NoReturn:
    raise TooSlowError
