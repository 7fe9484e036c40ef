"""Batching: the requests that teachers in batch mode have queued, sent and harvested in rounds.

    settle ──► (whoever asks goes through its items, and queues questions) ──► submit ──► settle ...

It journals departures and what came of them; the asker then reads the answers from the journal as it reads any other.
It may be stopped, or killed, at any point: the logs of batches (clients/batch_log.py) say what is open, and the
next call goes on from there. Nothing is asked while batches are open, so no question is in two of them.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...data.run import RunFolder
from ...schemas.recipe import RequestOptions
from ...schemas.run import Event, State
from ..clients.batch import Batches
from ..clients.batch_apis import Outcome
from ..clients.hosted import HostedTeacher
from ..teacher import Question, Teacher, Unanswered
from .budget import Lane, Ledger, lanes, max_cost
from .commits import event
from .history import History
from .policy import decide


class Batching:
    """See the module.

    Args:
        run: open for writing.
        options: the recipe's.
        teachers: loaded from it; only those in batch mode take part.
        every: seconds between two looks at the batches.
        on_wait: called with a line about the open batches, before each wait.

    Raises:
        PolicyError, RecipeError: see policy.py and budget.py; before anything is read or sent.
    """

    def __init__(
        self,
        run: RunFolder,
        options: RequestOptions,
        teachers: Sequence[Teacher],
        *,
        every: float,
        on_wait: Callable[[str], None],
    ) -> None:
        decide(options.policy, teachers, run.studies.data_class)
        self._run = run
        self._options = options
        self._teachers = teachers
        self._every = every
        self._on_wait = on_wait
        self._stopped = asyncio.Event()
        self._failures: dict[str, int] = {}
        self.spent = False  # the budget had no room for a request
        self._batched = [teacher for teacher in teachers if isinstance(teacher, HostedTeacher) and teacher.batch]
        self._batches: list[Batches] = [
            teacher.batches(run.path / "batches" / teacher.name) for teacher in self._batched
        ]

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    @property
    def queued(self) -> int:
        """Questions that wait for the next batch."""
        return sum(len(teacher.waiting) for teacher in self._batched)

    def stop(self) -> None:
        """Submit nothing more, and wait for nothing."""
        self._stopped.set()

    def open_queues(self, on_queued: Callable[[], None]) -> None:
        """Empty the queues; from here on `on_queued` is called for each question that comes."""
        for teacher in self._batched:
            teacher.waiting.clear()
            teacher.on_wait = on_queued

    async def settle(self) -> bool:
        """Wait until no batch is open; whether that is so."""
        while True:
            under_way = 0
            for batches in self._batches:
                await batches.reconcile()
                async for some in batches.harvest():
                    await self._journal([one for key, out in some for one in self._received(key, out)])
                under_way += len(batches.pending)
            if not under_way:
                await self._never_sent()
                return not self.stopped
            self._on_wait(f"{under_way} requests are in batches; looking again in {self._every:.0f} s")
            if self.stopped or await self._stopped_within(self._every):
                return False

    async def submit(self) -> int:
        """Send what is queued, as far as the budget goes; how many requests went."""
        with self._run.journal.sums() as sums:
            ledger = History.of(sums).ledger(self._options.budget)
        found = {lane.teacher.name: lane for lane in lanes(self._options, self._teachers)}
        sent = 0
        for teacher, batches in zip(self._batched, self._batches, strict=True):
            keys = await self._reserve(found[teacher.name], teacher.waiting, ledger)
            sent += await self._create(teacher, batches, keys)
        return sent

    async def close(self) -> None:
        """Close connections."""
        for batches in self._batches:
            await batches.close()

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _received(self, key: str, outcome: Outcome) -> Iterator[Event]:
        """What the journal is to know of one outcome; nothing, if a harvest is repeated."""
        flight = self._run.journal.last(key, State.IN_FLIGHT)
        if flight is None:
            return
        now = time.time()
        if isinstance(outcome, bytes):
            if self._run.journal.last(key, State.RECEIVED) is None:
                body = {"started_at": flight.at, "seconds": max(0.0, now - flight.at)}
                yield event(key, State.RECEIVED, flight.study_id, body, outcome)
            return
        self._failures[key] = self._failures.get(key, 0) + 1
        hopeless = outcome.state is State.FAILED and not outcome.retryable
        if hopeless or self._failures[key] > self._options.retries:
            for teacher in self._batched:
                teacher.given_up[key] = outcome.reason
        yield event(key, outcome.state, flight.study_id, {"reason": outcome.reason}, outcome.raw)

    async def _never_sent(self) -> None:
        """Free what a kill left between journal and log, or a batch that was never created: it may be asked."""
        names = {teacher.name for teacher in self._batched}
        events = []
        for key, state in self._run.journal.states().items():
            flight = self._run.journal.last(key, State.IN_FLIGHT) if state is State.IN_FLIGHT else None
            if flight is not None and self._teacher_of(flight) in names:
                events.append(event(key, State.FAILED, flight.study_id, {"reason": "not sent", "sent": False}))
        await self._journal(events)

    def _teacher_of(self, flight: Event) -> str | None:
        """Whom a request asks; in runs of earlier versions the event before its departure says it."""
        planned = flight if "teacher" in flight.body else self._run.journal.last(flight.key, State.PLANNED)
        return None if planned is None else planned.body["teacher"]

    async def _reserve(self, lane: Lane, waiting: Mapping[str, Question], ledger: Ledger) -> list[str]:
        """Those that the budget has room for, with their departure on disk."""
        events = []
        for key, question in waiting.items():
            reserved = max_cost(lane.teacher, question, lane.price)
            if not ledger.fits(reserved):
                self.spent = True
                break
            await ledger.reserve(reserved)
            body = {"teacher": lane.teacher.name, "tokens": reserved.tokens, "usd": reserved.usd, "batch": True}
            events.append(event(key, State.IN_FLIGHT, question.study.id, body))
        await self._journal(events)
        return [one.key for one in events]

    async def _create(self, teacher: HostedTeacher[Any], batches: Batches, keys: Sequence[str]) -> int:
        try:
            submitted = await batches.submit(keys, lambda key: teacher.body(teacher.waiting[key]))
        except Unanswered as no:
            self._on_wait(f"{no.reason}; trying again in {self._every:.0f} s")
            await self._stopped_within(self._every)
            return len(keys)  # what became of them, the next look will tell
        teacher.given_up |= {key: why.reason for key, why in submitted.unsent.items()}
        await self._journal(
            [
                event(key, State.FAILED, teacher.waiting[key].study.id, {"reason": why.reason, "sent": False})
                for key, why in submitted.unsent.items()
            ]
        )
        return submitted.sent

    async def _journal(self, events: Sequence[Event]) -> None:
        if events:
            await asyncio.wrap_future(self._run.journal.append(*events))
