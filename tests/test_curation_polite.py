"""Ctrl-C: the first lets what is under way come in, the second does not wait."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tenstep.curation.requests.polite import run_politely


async def interrupted(times: int, stopped: asyncio.Event) -> str:
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.01)
    await asyncio.wait_for(stopped.wait(), 5)
    if times > 1:
        await asyncio.sleep(5)
    return "came in"


def test_the_first_signal_stops_and_waits() -> None:
    stopped = asyncio.Event()
    assert run_politely(interrupted(1, stopped), stopped.set) == "came in"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_signal_does_not_wait() -> None:
    stopped = asyncio.Event()
    with pytest.raises(KeyboardInterrupt):
        run_politely(interrupted(2, stopped), stopped.set)


def in_a_notebook(work: Coroutine[Any, Any, str], stop: Callable[[], None]) -> str:
    """As a cell runs it: inside a loop that Ctrl-C is no business of."""

    async def cell() -> str:
        return run_politely(work, stop)

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(cell())
    finally:
        loop.close()


def test_inside_a_running_loop_the_first_signal_stops_and_waits_too() -> None:
    stopped = asyncio.Event()
    assert in_a_notebook(interrupted(1, stopped), stopped.set) == "came in"


def test_inside_a_running_loop_the_second_signal_does_not_wait() -> None:
    stopped = asyncio.Event()
    with pytest.raises(KeyboardInterrupt):
        in_a_notebook(interrupted(2, stopped), stopped.set)


def test_another_thread_works_without_signals() -> None:
    found: list[str] = []

    async def work() -> str:
        return "done"

    thread = threading.Thread(target=lambda: found.append(run_politely(work(), lambda: None)))
    thread.start()
    thread.join()
    assert found == ["done"]
