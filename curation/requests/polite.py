"""Ctrl-C, a polite kill, a closed terminal: nothing more is sent, what is in flight comes in. A second stops it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")
_POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_politely(work: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    """Run work that `stop` brings to a good end.

    Raises:
        KeyboardInterrupt: a second signal came, and the work was cancelled.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_watched(work, stop))
    return _in_a_thread(work, stop)


def _in_a_thread(work: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    """Inside a loop that runs already, as that of a notebook's cells: the work gets a thread and a loop of its own."""
    loop: asyncio.AbstractEventLoop | None = None
    task: asyncio.Task[Any] | None = None
    signals = 0

    async def held() -> T:
        nonlocal loop, task
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if signals:  # it came before there was a loop to tell
            stop()
        return await work

    def heard(*_: object) -> None:
        nonlocal signals
        signals += 1
        if loop and task:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(stop if signals == 1 else task.cancel)

    with ThreadPoolExecutor(1) as pool, _interrupts(heard):
        try:
            return pool.submit(lambda: asyncio.run(held())).result()
        except asyncio.CancelledError:
            if signals < 2:
                raise
            raise KeyboardInterrupt from None


@contextmanager
def _interrupts(heard: Callable[..., None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread, and this is another one
        return
    before = signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
