"""Verdicts off the event loop: processes that judge and compare traces while this one waits for the wire.

    pool = VerdictPool(workers, severities, doubts, rules)
    opinion = await pool.judge(answer)              the same that judge_answer gives
    twin = await pool.compare(opinion)              the study of an earlier trace that says the same
    await pool.close()

Answers to one study go to the same process, which so reads its reference once. Traces are compared one after another
in the first of the processes: those that it has judged itself at once, others as they come. With no workers everything
is done here.
"""

import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.processes import cores
from ..schemas.verdict import Doubts, Weight
from ..validators.gate import prepare
from .batch_process import BatchProcess
from .template_trace import Count, Twin
from .verdict_worker import Call, Found, Worker, started
from .verdicts import Opinion, candidate_of, judge_answer

if TYPE_CHECKING:
    from .requests.asker import Answer

_TINY = 200  # answers; starting a process costs as much as judging these


def workers_for(answers: int) -> int:
    """How many processes a run of so many answers is worth: one core is the event loop's own."""
    return 0 if answers < _TINY else min(8, cores() - 1)


class VerdictPool:
    """See the module.

    Args:
        workers: processes that judge; 0 judges and compares here.
        severities: the recipe's.
        doubts: what the recipe says of them.
        own: files of rules that the recipe names.
    """

    def __init__(self, workers: int, severities: Mapping[str, Weight], doubts: Doubts, own: Sequence[str] = ()) -> None:
        if not workers:
            prepare()  # else it is the processes that need the rules' lexicons
        self._severities = dict(severities)
        self._doubts: Doubts = doubts
        self._own = tuple(own)
        starts = (partial(started, self._severities, doubts, self._own, compares=not at) for at in range(workers))
        self._judges: list[BatchProcess[Call, Any]] = [BatchProcess(start) for start in starts]
        self._here: Worker | None = None  # where there are no workers
        self._place: Path | None = None  # of the traces' database, if it is kept
        self.compared = 0  # traces

    async def judge(self, answer: "Answer") -> Opinion:
        """The candidate that an answer is, and its verdict.

        Raises:
            RunError: the process that judged it is gone.
        """
        if not self._judges:
            return judge_answer(answer, self._severities, self._doubts, self._own)
        study = answer.question.study
        judge = self._judges[zlib.crc32(study.id.encode("utf-8", "replace")) % len(self._judges)]
        candidate = candidate_of(answer)
        found: Found = await judge.run(("judge", (study, candidate)))
        return found.opinion_of(candidate)

    async def compare(self, opinion: Opinion) -> str | None:
        """Look for an earlier trace that says the same before another reference, and remember this one.

        Returns:
            The study of that trace; none if there is none, or this one is not to be compared.

        Raises:
            RunError: the process that compares is gone.
        """
        if opinion.sketches is None:
            return None
        self.compared += 1
        if opinion.is_compared:
            return opinion.twin
        candidate = opinion.candidate
        found: str | None = await self._call("add", candidate.key, candidate.study_id, opinion.sketches)
        return found

    def go_on_with(self, place: Path, traces: int) -> None:
        """Traces that an earlier call has left in a database, before any other; and where those that come are kept."""
        self._place, self.compared = place, traces
        if self._judges:
            start = partial(started, self._severities, self._doubts, self._own, compares=True, place=place)
            self._judges[0] = BatchProcess(start)

    async def commit(self, note: str) -> None:
        """Leave the traces in that database, with a word for who goes on with them.

        Raises:
            RunError: the process that compares is gone.
        """
        await self._call("commit", note)

    async def remember(self, traces: Sequence[tuple[str, str, bytes]]) -> None:
        """Traces of an earlier call: key, study and packed sketches of each.

        Raises:
            RunError: the process that compares is gone.
        """
        self.compared += len(traces)
        await self._call("remember", traces)

    async def twins(self) -> AsyncIterator[Twin]:
        """Every trace that says what another one says, if no earlier call was given it; see `Templates.twins`."""
        first: int | None = 1 if self.compared else None
        while first is not None:
            found, first = await self._call("some_twins", first)
            for twin in found:
                yield twin

    async def counted(self) -> Count:
        """How many studies have a trace that was compared, and how many one that says what another one says."""
        return Count(*await self._call("counted")) if self.compared else Count(0, 0)

    async def _call(self, name: str, *args: Any) -> Any:
        if self._judges:
            return await self._judges[0].run((name, args))
        self._here = self._here or Worker(place=self._place)
        return self._here.work([(name, args)])[0]

    async def close(self) -> None:
        """End the processes."""
        for judge in self._judges:
            await judge.close()
        if self._here is not None:
            self._here.close()
