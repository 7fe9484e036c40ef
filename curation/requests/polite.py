"""Ctrl-C, a polite kill, a closed terminal: nothing more is sent, what is in flight comes in. A second stops it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_politely(work: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    """Run work that `stop` brings to a good end.

    Raises:
        KeyboardInterrupt: a second signal came, and the work was cancelled.
    """
    return asyncio.run(_watched(work, stop))


async def _watched(work: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    if threading.current_thread() is not threading.main_thread():
        return await work  # signals go to the main thread, and this is another one
    loop, task, signals = asyncio.get_running_loop(), asyncio.ensure_future(work), 0

    # whoever runs us under nohup has ignored SIGHUP, and that stays so
    names = [name for name in _POLITE if signal.getsignal(name) is not signal.SIG_IGN]

    def heard() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            stop()
        else:
            task.cancel()

    for name in names:
        loop.add_signal_handler(name, heard)
    try:
        return await task
    except asyncio.CancelledError:
        if signals < 2:
            raise
        raise KeyboardInterrupt from None
    finally:
        for name in names:
            loop.remove_signal_handler(name)
