"""A run through batches: the engine's passes, and between them one round of submitting, waiting and harvesting.

    settle ──► pass of the engine ──► questions queued? ──► submit ──► settle ...      until none is queued

A call that finds open batches waits for them before anything else. What a round is: requests/batching.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ..data.run import RunFolder
from ..schemas.curate_recipe import CurateRecipe
from .engine import Engine
from .requests.batching import Batching
from .requests.tally import Tally
from .teacher import Teacher

_ROUND = 5000  # questions that are queued in one pass


class BatchRun:
    """Like an Engine: `stop`, `work`, `tally`. For recipes with a teacher in batch mode.

    Args:
        run: open for writing.
        recipe: resolved.
        teachers: loaded from it, in its order.
        verifier: loaded from it, if it names one.
        every: seconds between two looks at the batches.
        on_wait: called with a line about the open batches, before each wait.
        options: for each Engine.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: CurateRecipe,
        teachers: Sequence[Teacher],
        verifier: Teacher | None = None,
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
        self._verifier = verifier
        everyone = [*teachers, verifier] if verifier else teachers
        self._batching = Batching(run, recipe, everyone, every=every, on_wait=on_wait)
        self._engine: Engine | None = None  # not before batches have ended: it takes what is in flight for lost
        self._before = Tally(ended="stopped")

    @property
    def tally(self) -> Tally:
        """Of the last pass; empty while batches of an earlier call are waited for."""
        return self._engine.tally if self._engine else self._before

    def stop(self) -> None:
        """Submit nothing more, and wait for nothing."""
        self._batching.stop()
        self._end_pass()

    async def work(self) -> Tally:
        """Go on until nothing is queued any more, or `stop` is called; raises as the engine does."""
        try:
            while await self._batching.settle():
                self._engine = Engine(self._run, self._recipe, self._teachers, self._verifier, **self._options)
                self._batching.open_queues(self._limit)
                await self._engine.work()
                if self._batching.stopped or not await self._batching.submit():
                    break
        finally:
            await self._batching.close()
        if self._batching.spent:
            self.tally.ended = "budget"
        if self._batching.stopped:
            self.tally.ended = "stopped"
        return self.tally

    def _limit(self) -> None:
        """End the pass when enough is queued: no more than the goal can still need."""
        goal = self._recipe.goal.accepted
        if self._batching.queued >= (min(_ROUND, goal - self.tally.accepted) if goal else _ROUND):
            self._end_pass()

    def _end_pass(self) -> None:
        if self._engine is not None:
            self._engine.stop()
