"""Session: the requests of one call on one run folder, whatever they ask: policy, prices, budget, history, asker.

    session = Session(run, options, teachers)
    try:
        await session.work(take, one, workers)      workers that take items until there is none, or `stop` is called
    finally:
        await session.close()                       everything is on disk; raises what ended the session early

Whoever asks (the engine, a judge, a verifier) owns what an item is and what is concluded of an answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ...data.run import RunFolder
from ...data.states import States
from ...schemas.errors import RecipeError, TenstepError
from ...schemas.policy import PolicyDecision
from ...schemas.recipe import RequestOptions
from ...schemas.study import DataClass
from ..teacher import Teacher, identity_sha256
from .asker import Asker, settle_flights
from .budget import Spent, lanes
from .history import History
from .pace import Stopped
from .policy import decide
from .tally import Reason, Tally

T = TypeVar("T")


def check_requests(options: RequestOptions, teachers: Sequence[Teacher], data_class: DataClass) -> PolicyDecision:
    """Say what is wrong before there is a run folder: where data may go, prices, budget.

    Raises:
        PolicyError, RecipeError: see policy.py and budget.py.
    """
    decision = decide(options.policy, teachers, data_class)
    lanes(options, teachers)
    return decision


def _attach(run: RunFolder, teachers: Sequence[Teacher], states: States) -> None:
    """Let teachers that work through files find theirs in the run folder."""
    folders: set[Path] = set()
    for teacher in teachers:
        if (attach := getattr(teacher, "attach", None)) is None:
            continue
        attach(run.path, states.get)
        folder = teacher.folder.resolve()  # type: ignore[attr-defined]  # every teacher that attaches has one
        if folder in folders:
            raise RecipeError(f"two teachers exchange files in '{folder}'; give each a folder", field="options.folder")
        folders.add(folder)


class Session:
    """See the module.

    Args:
        run: open for writing.
        options: the recipe's, of which only what concerns requests is read.
        teachers: loaded from the recipe, in its order.

    Raises:
        PolicyError, RecipeError: see policy.py and budget.py; before anything is read or sent.
    """

    def __init__(self, run: RunFolder, options: RequestOptions, teachers: Sequence[Teacher]) -> None:
        decision = decide(options.policy, teachers, run.studies.data_class)
        self.lanes = lanes(options, teachers)
        run.decide(decision, {identity_sha256(teacher): teacher.identity() for teacher in teachers})
        self.tally = Tally()
        states = settle_flights(run)
        _attach(run, teachers, states)
        with run.journal.sums() as sums:
            self.history = History.of(sums)
        for lane in self.lanes:
            lane.answered = lane.teacher.name in self.history.answered
        self.ledger = self.history.ledger(options.budget)
        self.asker = Asker(run, options, decision, self.ledger, self.tally, states)
        self.ended: Reason | None = None  # why nothing more is asked; none: as long as there is something to ask
        self.spent = False  # the budget had no room for a request
        self._error: Exception | None = None

    def stop(self, reason: Reason = "stopped") -> None:
        """Send nothing more; requests in flight are waited for and journalled."""
        self.ended = self.ended or reason
        self.asker.stop()
        for lane in self.lanes:
            lane.gate.close()

    async def work(
        self, take: Callable[[], Awaitable[T | None]], one: Callable[[T], Awaitable[None]], workers: int
    ) -> None:
        """Let so many workers take items, one after another, until there is none.

        An item for which the budget has no room is left out, since later ones may have their answers already. Any
        other error of a worker stops the session politely: what is in flight comes in; `close` raises the first.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._worker(take, one))

    async def _worker(self, take: Callable[[], Awaitable[T | None]], one: Callable[[T], Awaitable[None]]) -> None:
        try:
            while self.ended is None and (item := await take()) is not None:
                try:
                    await one(item)
                except Spent:
                    self.spent = True
                    await asyncio.sleep(0)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001  whatever it is, it must not cancel requests that are being paid for
            self._error = self._error or error
            self.stop()

    def sum_up(self) -> None:
        """Write spend, budget and the reason for the end into the tally."""
        self.tally.spend_usd = self.ledger.settled.usd
        self.tally.uncertain_usd = self.ledger.uncertain.usd
        self.tally.budget = self.ledger.describe()
        self.tally.ended = self.ended or ("budget" if self.spent else "data")

    async def close(self) -> None:
        """Wait for the journal, sum up, and close connections.

        Raises:
            Exception: what ended the session early, or that the journal could not be written.
        """
        try:
            await self.asker.flush()
        except TenstepError as error:
            self._error = self._error or error
        self.sum_up()
        for lane in self.lanes:
            await lane.teacher.close()
            self.tally.notes += tuple(getattr(lane.teacher, "notes", ()))
        if self._error is not None:
            raise self._error
