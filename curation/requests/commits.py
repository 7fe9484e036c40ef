"""Commits: the events of a request, and the event loop's side of the journal.

What is appended in one turn of the event loop goes as one batch. A future for each request would wake the loop once
each; here one wake-up serves the whole batch.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from ...data.ends import End
from ...data.journal import Journal
from ...schemas.run import Event, State
from ..teacher import Question, Teacher, identity_sha256
from .budget import Amount


def event(key: str, state: State, study_id: str, body: Mapping[str, object], raw: bytes | None = None) -> Event:
    """An event of a request, now."""
    return Event(key=key, state=state, study_id=study_id, at=time.time(), body=dict(body), raw=raw)


def departure(key: str, teacher: Teacher, question: Question, reserved: Amount, *, first: bool) -> Event:
    """A request is about to be sent: whom it asks, and the most that it can use.

    Args:
        key: its request key.
        teacher: who is asked; the run's manifest holds its identity, under the hash that stands in the event.
        question: what is asked.
        reserved: what the budget holds back for it.
        first: whether it is the key's first event: then it says what the request is made of, without texts and images.
    """
    body: dict[str, object] = {"teacher": teacher.name, "tokens": reserved.tokens, "usd": reserved.usd}
    if first:
        body |= {
            "identity": identity_sha256(teacher),
            "prompt_id": question.prompt.id,
            "prompt_sha256": question.prompt.sha256,
            "attempt": question.attempt,
            "sample": question.sample,
            "parent": question.previous.key if question.previous else None,
        }
    return event(key, State.IN_FLIGHT, question.study.id, body)


class Commits:
    """Appends to a journal from one event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._events: list[Event | End] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._open: set[Future[None]] = set()

    async def write(self, *events: Event) -> None:
        """Append; on return the events survive a power cut.

        Raises:
            RunError: they could not be written.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.later(*events)
        await waiter

    def later(self, *events: Event | End) -> None:
        """Append without waiting: for what can be made again from what is already on disk."""
        if not self._events:
            asyncio.get_running_loop().call_soon(self._send)
        self._events.extend(events)

    async def flush(self) -> None:
        """Wait for everything.

        Raises:
            RunError: some of it could not be written.
        """
        self._send()
        for written in list(self._open):
            await asyncio.wrap_future(written)

    def _send(self) -> None:
        events, waiters = self._events, self._waiters
        if not events:
            return
        self._events, self._waiters = [], []
        loop = asyncio.get_running_loop()
        written = self._journal.append(*events)
        self._open.add(written)

        def wake() -> None:
            self._open.discard(written)
            _resolve(waiters, written.exception())

        # the callback runs in the journal's thread
        written.add_done_callback(lambda _: loop.call_soon_threadsafe(wake))


def _resolve(waiters: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
