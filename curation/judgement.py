"""Judgement: from a question to the verdict on its answer.

    journal or teacher ──► rules (verdict_pool.py) ──► compared with other traces ──► read by the verifier, if it is to

Each step's word is journalled as a verdict of its own, and read from there by a later call.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from ..data.ends import End, Ended
from ..data.judged import Judged, judged, judged_body, judged_event
from ..data.run import RunFolder
from ..schemas.run import State
from ..schemas.study import Study
from ..schemas.verdict import Doubts, Verdict, Weight
from .doubts import decided
from .kept_traces import KeptTraces
from .requests.asker import Asker
from .requests.budget import Lane
from .requests.tally import Tally
from .teacher import Question, request_key
from .template_trace import marked
from .verdict_pool import VerdictPool
from .verdicts import Opinion, opinion_of
from .verifying.verifier import Verifier

_TRACES = 1_000  # that are remembered at once
_AT_ONCE = 64  # verdicts that are appended before they are waited for


@dataclass
class Course:
    """What one study has taken so far, in all its chains."""

    closed: bool = True  # whether every question was answered, and nothing is waited for
    answers: int = 0
    usd: float | None = 0.0  # none if a price is unknown
    verified: Counter[str] = field(default_factory=Counter)

    def add(self, answers: int, usd: float | None) -> None:
        """Answers that were concluded, and what they cost."""
        self.answers += answers
        self.usd = _sum(self.usd, usd)


@dataclass
class Judgement:
    """See the module; its pool is closed by whoever made it."""

    run: RunFolder
    severities: Mapping[str, Weight]  # the recipe's
    doubts: Doubts  # what it says of them
    asker: Asker
    pool: VerdictPool
    verifier: Verifier | None
    tally: Tally
    usd: float | None = 0.0  # of all answers, of this call and earlier ones; none if a price is unknown
    _unverified: set[str] = field(default_factory=set)  # candidates whose verifier answers in a later pass or call

    async def of(self, lane: Lane, question: Question, course: Course) -> Judged | None:
        """The candidate that a question's answer is, and its verdict; none if there is no answer.

        What it takes is added to the study's course.

        Raises:
            Stopped, Spent, PolicyError, TeacherError: as `Asker.ask`.
        """
        key = request_key(lane.teacher, question)
        if (earlier := await self.asker.concluded(key)) is not None:
            before = judged(earlier)
            opinion = opinion_of(question.study, *before, earlier.raw)
            outcome = await self._compared(opinion)
            if outcome.verdict != before.verdict:
                self.asker.record(judged_event(*outcome, opinion.sketches))
        else:
            answer = await self.asker.ask(lane, question, key)
            if answer is None:
                course.closed = False
                return None
            opinion = await self.pool.judge(answer)
            outcome = await self._compared(opinion)
            self.asker.conclude(answer, judged_body(*outcome), opinion.sketches)
        self._add(course, 1, outcome.candidate.cost_usd)
        return await self._verified(question.study, outcome, opinion.sketches, course)

    def waits(self, outcome: Judged) -> bool:
        """Whether the verifier's answer comes later: nothing is repaired before."""
        return outcome.candidate.key in self._unverified

    async def _compared(self, opinion: Opinion) -> Judged:
        """The verdict with a doubt, if another study's trace says the same before another reference."""
        twin = await self.pool.compare(opinion)
        return Judged(opinion.candidate, opinion.verdict if twin is None else self._as_template(opinion.verdict))

    def _as_template(self, verdict: Verdict) -> Verdict:
        return decided(marked(verdict, True, self.severities), self.doubts)

    async def _verified(self, study: Study, outcome: Judged, sketches: bytes | None, course: Course) -> Judged:
        """The verdict after the verifier has read the trace, if it is to."""
        if self.verifier is None or not self.verifier.wants(outcome.verdict):
            return outcome
        found = await self.verifier.verify(study, *outcome)
        self.tally.verified[found.state] += 1
        course.verified[found.state] += 1
        course.closed &= found.state not in ("waiting", "unanswered")
        self._add(course, found.answers, found.cost_usd)
        if found.state == "waiting":
            self._unverified.add(outcome.candidate.key)
        if found.verdict != outcome.verdict:
            self.asker.record(judged_event(outcome.candidate, found.verdict, sketches))
        return Judged(outcome.candidate, found.verdict)

    def _add(self, course: Course, answers: int, usd: float | None) -> None:
        course.add(answers, usd)
        self.usd = _sum(self.usd, usd)

    async def pass_over(self, ended: Ended, kept: KeptTraces) -> bytes:
        """Count studies that an earlier call brought to an end, and remember their traces.

        Args:
            ended: those studies.
            kept: traces that an earlier call has left; where it has not, the journal's are taken.

        Returns:
            A byte for each study of the store, by place: 1 for those.
        """
        passed = bytearray(len(self.run.studies))
        for place in ended.places():
            passed[place] = 1
        for some in ended.sums():
            self.tally.studies += some.studies
            self.tally.passed_over += some.studies
            self.tally.accepted += some.studies * (some.outcome == "accept")
            self.tally.doubted += some.studies * (some.outcome == "doubt")
            self.tally.rejected += some.studies * (some.outcome == "reject")
            self.tally.repaired += some.studies * some.repaired
            self.tally.recalled += some.answers
            self.tally.codes.update(dict.fromkeys(some.codes, some.studies))
            self.tally.verified.update({name: some.studies * n for name, n in some.verified.items()})
            self.usd = _sum(self.usd, some.usd)
        self.pool.go_on_with(*kept.taken(passed.rfind(1)))
        traces = iter(()) if self.pool.compared else ended.sketches()
        while batch := list(islice(traces, _TRACES)):
            await self.pool.remember(batch)
        return bytes(passed)

    async def keep_traces(self, kept: KeptTraces) -> None:
        """Leave the traces for a later call."""
        await self.asker.flush()
        if self.pool.compared:
            await self.pool.commit(kept.note(self.pool.compared))

    async def mark_early_templates(self, *, final: bool, mark: str | None = None) -> None:
        """Give those traces their doubt that came before the others which say the same.

        Args:
            final: whether nothing more is made of a study after its first answer, so that nothing is left to do.
            mark: for the ends of studies (data/ends.py), if they are noted.
        """
        await self.asker.flush()
        changed = 0
        async for twin in self.pool.twins():
            event = self.run.journal.last(twin.key, State.JUDGED)
            if event is None:
                continue
            candidate, verdict = judged(event)
            now = self._as_template(verdict)
            if now != verdict:
                self.tally.reopened += not final
                if final and not verdict.accepted:  # its codes were counted
                    self.tally.codes.subtract(verdict.codes)
                if verdict.accepted or final:
                    self.tally.codes.update(now.codes)
                more = []
                if final and mark is not None:  # so that a later call does not go through the study again
                    codes = () if now.accepted else now.codes
                    more = [End(twin.study_id, mark, now.outcome, False, 1, candidate.cost_usd, codes, {})]
                self.asker.record(judged_event(candidate, now, event.raw), *more)
                changed += 1
                if changed % _AT_ONCE == 0:  # nothing here waits, and what is appended is held until it is on disk
                    await self.asker.flush()
                self.tally.accepted -= verdict.accepted and not now.accepted
                self.tally.doubted += verdict.accepted and now.outcome == "doubt"
        self.tally.codes = +self.tally.codes
        if (note := (await self.pool.counted()).note) is not None:
            self.tally.notes += (note,)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
