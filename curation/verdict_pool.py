"""Verdicts off the event loop: processes that judge while this one waits for the wire.

    pool = VerdictPool(workers, severities, doubts, rules)
    opinion = await pool.judge(answer)              the same that judge_answer gives
    await pool.close()

Each process is started at its first use and takes what has gathered for it since its last batch. Answers to one study
go to the same process, which so reads its reference once. With no workers everything is judged here.
Answers wait here only while whoever asked waits for them, so no more of them are held than questions are open.
"""

import asyncio
import pickle
import sys
import zlib
from collections.abc import Mapping, Sequence

from ..data.workers import cores
from ..schemas.candidate import Candidate
from ..schemas.errors import RunError
from ..schemas.study import Study
from ..schemas.verdict import Doubts, Weight
from .requests.asker import Answer
from .verdict_worker import LENGTH
from .verdicts import Opinion, candidate_of, judge_answer

_BATCH = 64  # candidates at once
_TINY = 200  # answers; starting a process costs as much as judging these
_LONGEST = 1 << 30  # bytes of one batch

_Wanted = tuple[Study, Candidate, "asyncio.Future[Opinion]"]


def workers_for(answers: int) -> int:
    """How many processes a run of so many answers is worth: one core is the event loop's own."""
    return 0 if answers < _TINY else min(8, cores() - 1)


class VerdictPool:
    """See the module.

    Args:
        workers: processes; 0 judges here.
        severities: the recipe's.
        doubts: the recipe's word on them.
        own: files of rules that the recipe names.
    """

    def __init__(self, workers: int, severities: Mapping[str, Weight], doubts: Doubts, own: Sequence[str] = ()) -> None:
        self._severities = dict(severities)
        self._doubts: Doubts = doubts
        self._own = tuple(own)
        first = pickle.dumps((self._severities, doubts, self._own))
        self._workers = [_Worker(first) for _ in range(workers)]

    async def judge(self, answer: Answer) -> Opinion:
        """The candidate that an answer is, and its verdict.

        Raises:
            RunError: the process that judged it is gone.
        """
        if not self._workers:
            return judge_answer(answer, self._severities, self._doubts, self._own)
        study = answer.question.study
        worker = self._workers[zlib.crc32(study.id.encode("utf-8", "replace")) % len(self._workers)]
        return await worker.judge(study, candidate_of(answer))

    async def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            await worker.close()


class _Worker:
    """One process, and what waits for it."""

    def __init__(self, first: bytes) -> None:
        self._first = first
        self._waiting: list[_Wanted] = []
        self._turn: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def judge(self, study: Study, candidate: Candidate) -> Opinion:
        wanted: asyncio.Future[Opinion] = asyncio.get_running_loop().create_future()
        self._waiting.append((study, candidate, wanted))
        if self._turn is None or self._turn.done():
            self._turn = asyncio.create_task(self._judge_all())
        return await wanted

    async def _judge_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            try:
                opinions = await self._exchange(batch)
            except (OSError, EOFError, asyncio.IncompleteReadError):
                opinions = [RunError("a process that judges was killed (out of memory?); try --workers 0")] * len(batch)
            for (_, _, wanted), opinion in zip(batch, opinions, strict=True):
                if wanted.done():
                    continue
                if isinstance(opinion, Exception):
                    wanted.set_exception(opinion)
                else:
                    wanted.set_result(opinion)

    async def _exchange(self, batch: list[_Wanted]) -> "list[Opinion | Exception]":
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"{__package__}.verdict_worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST,
                start_new_session=True,  # Ctrl-C is for us to hear
            )  # fmt: skip
            self._send(self._first)
        self._send(pickle.dumps([(study, candidate) for study, candidate, _ in batch], pickle.HIGHEST_PROTOCOL))
        assert self._process.stdin is not None and self._process.stdout is not None
        await self._process.stdin.drain()
        (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
        opinions: list[Opinion | Exception] = pickle.loads(await self._process.stdout.readexactly(length))  # noqa: S301 from our own process
        return opinions

    def _send(self, content: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(LENGTH.pack(len(content)) + content)

    async def close(self) -> None:
        if self._turn is not None:
            await self._turn
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
