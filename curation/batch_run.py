"""A run through batches: the engine's passes, and between them one round of submitting, waiting and harvesting.

    harvest ──► pass of the engine ──► questions put by? ──► submit ──► wait ──► harvest ...      until none is put by

It may be stopped, or killed, at any point: the ledgers say what is under way, and the next call goes on from there.
A call that finds batches under way waits for them before anything else, so no question is in two of them.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.run import RunFolder
from ..schemas.recipe import CurateRecipe
from ..schemas.run import Event, State
from .clients.batch import Batches, Outcome
from .clients.batched import Batched
from .engine import Engine
from .requests.budget import Ledger, most
from .requests.history import History
from .requests.lane import Lane, lanes
from .requests.policy import decide
from .requests.tally import Tally
from .teacher import Question, Teacher, Unanswered

_ROUND = 5000  # questions of one teacher that are put by in one pass


class BatchRun:
    """Like an Engine: `stop`, `work`, `tally`. For recipes with a teacher in batch mode.

    Args:
        run: open for writing.
        recipe: resolved.
        teachers: loaded from it, in its order.
        every: seconds between two looks at the batches.
        on_wait: told what is under way, before each wait.
        options: for each Engine.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: CurateRecipe,
        teachers: Sequence[Teacher],
        *,
        every: float = 60.0,
        on_wait: Callable[[str], None] = lambda line: None,
        **options: Any,
    ) -> None:
        # a pilot is one pass of few studies, of which none has an answer yet
        self._recipe = recipe.model_copy(update={"goal": recipe.goal.model_copy(update={"pilot": 0})})
        self._run = run
        self._teachers = teachers
        self._options = options
        self._every = every
        self._on_wait = on_wait
        self._stopped = asyncio.Event()
        self._failures: dict[str, int] = {}
        decide(recipe.policy, teachers, run.studies.data_class)  # before anything is read or sent
        self._engine: Engine | None = None  # not before batches have ended: it takes what is under way for lost
        self._before = Tally(ended="stopped")
        self._batched = [teacher for teacher in teachers if isinstance(teacher, Batched) and teacher.batch]
        self._batches = [_batches(teacher, run.path) for teacher in self._batched]

    @property
    def tally(self) -> Tally:
        """Of the last pass; empty while batches of an earlier call are waited for."""
        return self._engine.tally if self._engine else self._before

    def stop(self) -> None:
        """Submit nothing more, and wait for nothing."""
        self._stopped.set()
        self._end_pass()

    async def work(self) -> Tally:
        """Go on until nothing is put by any more, or `stop` is called; raises as the engine does."""
        try:
            while await self._settle():
                self._engine = Engine(self._run, self._recipe, self._teachers, **self._options)
                for teacher in self._batched:
                    teacher.waiting.clear()
                    teacher.on_wait = self._limit
                await self._engine.work()
                if self._stopped.is_set() or not await self._submit():
                    break
        finally:
            for batches in self._batches:
                await batches.close()
        if self._stopped.is_set():
            self.tally.ended = "stopped"
        return self.tally

    def _limit(self) -> None:
        """End the pass when enough is put by: no more than the goal can still need."""
        goal = self._recipe.goal.accepted
        room = min(_ROUND, goal - self.tally.accepted) if goal else _ROUND
        if sum(len(teacher.waiting) for teacher in self._batched) >= room:
            self._end_pass()

    def _end_pass(self) -> None:
        if self._engine is not None:
            self._engine.stop()

    async def _settle(self) -> bool:
        """Wait until no batch is under way; whether that is so."""
        while True:
            under_way = 0
            for batches in self._batches:
                await batches.reconcile()
                async for some in batches.harvest():
                    await self._journal([event for key, out in some for event in self._received(key, out)])
                under_way += len(batches.pending)
            if not under_way:
                await self._never_sent()
                return not self._stopped.is_set()
            self._on_wait(f"{under_way} requests are in batches; looking again in {self._every:.0f} s")
            if self._stopped.is_set() or await self._stopped_within(self._every):
                return False

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _received(self, key: str, outcome: Outcome) -> Iterator[Event]:
        """What the journal is to know of one outcome; nothing, if a harvest is repeated."""
        planned = self._run.journal.last(key, State.PLANNED)
        flight = self._run.journal.last(key, State.IN_FLIGHT)
        if planned is None or flight is None:
            return
        now = time.time()
        if isinstance(outcome, bytes):
            if self._run.journal.last(key, State.RECEIVED) is None:
                body = {"started_at": flight.at, "seconds": max(0.0, now - flight.at)}
                yield _event(key, State.RECEIVED, planned.study_id, body, outcome)
            return
        self._failures[key] = self._failures.get(key, 0) + 1
        hopeless = outcome.state is State.FAILED and not outcome.retryable
        if hopeless or self._failures[key] > self._recipe.retries:
            for teacher in self._batched:
                teacher.given_up[key] = outcome.reason
        yield _event(key, outcome.state, planned.study_id, {"reason": outcome.reason}, outcome.raw)

    async def _never_sent(self) -> None:
        """What a kill left between the journal and the ledger, or a batch that was never created, may be asked."""
        names = {teacher.name for teacher in self._batched}
        events = []
        for key, state in self._run.journal.states().items():
            planned = self._run.journal.last(key, State.PLANNED) if state is State.IN_FLIGHT else None
            if planned is not None and planned.body["teacher"] in names:
                events.append(_event(key, State.FAILED, planned.study_id, {"reason": "not sent", "sent": False}))
        await self._journal(events)

    async def _submit(self) -> int:
        """Send what was put by, as far as the budget goes; how many requests went."""
        history = History.of(self._run.journal.events(raw=False))
        ledger = Ledger(
            self._recipe.budget,
            calls=history.calls,
            settled=history.settled,
            uncertain=history.uncertain,
        )
        found = {lane.teacher.name: lane for lane in lanes(self._recipe, self._teachers)}
        sent = 0
        for teacher, batches in zip(self._batched, self._batches, strict=True):
            lane = found[teacher.name]
            keys = await self._board(lane, teacher.waiting, ledger)
            sent += await self._create(teacher, batches, keys)
        return sent

    async def _board(self, lane: Lane, waiting: Mapping[str, Question], ledger: Ledger) -> list[str]:
        """Those that the budget has room for, with their departure on disk."""
        events = []
        for key, question in waiting.items():
            aside = most(lane.teacher, question, lane.price)
            if not ledger.fits(aside):
                self.tally.ended = "budget"
                break
            await ledger.reserve(aside)
            body = {"tokens": aside.tokens, "usd": aside.usd, "batch": True}
            events.append(_event(key, State.IN_FLIGHT, question.study.id, body))
        await self._journal(events)
        return [event.key for event in events]

    async def _create(self, teacher: Any, batches: Batches, keys: Sequence[str]) -> int:
        try:
            submitted = await batches.submit(keys, lambda key: teacher.body(teacher.waiting[key]))
        except Unanswered as no:
            self._on_wait(f"{no.reason}; trying again in {self._every:.0f} s")
            await self._stopped_within(self._every)
            return len(keys)  # what became of them, the next look will tell
        teacher.given_up |= {key: why.reason for key, why in submitted.unsent.items()}
        await self._journal(
            [
                _event(key, State.FAILED, teacher.waiting[key].study.id, {"reason": why.reason, "sent": False})
                for key, why in submitted.unsent.items()
            ]
        )
        return submitted.sent

    async def _journal(self, events: Sequence[Event]) -> None:
        if events:
            await asyncio.wrap_future(self._run.journal.append(*events))


def _event(key: str, state: State, study_id: str, body: Mapping[str, Any], raw: bytes | None = None) -> Event:
    return Event(key=key, state=state, study_id=study_id, at=time.time(), body=dict(body), raw=raw)


def _batches(teacher: Any, folder: Path) -> Batches:
    batches: Batches = teacher.batches(folder / "batches" / teacher.name)
    return batches
