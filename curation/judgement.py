"""Judgement: from a question to the verdict on its answer.

    journal or teacher ──► rules (verdict_pool.py) ──► compared with other traces ──► read by the verifier, if it is to

Each step's word is journalled as a verdict of its own, and read from there by a later call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..data.judged import Judged, judged, judged_body, judged_event
from ..data.run import RunFolder
from ..schemas.run import State
from ..schemas.study import Study
from ..schemas.verdict import Doubts, Verdict, Weight
from .doubts import decided
from .requests.asker import Asker
from .requests.budget import Lane
from .requests.tally import Tally
from .teacher import Question, request_key
from .template_trace import Count, marked
from .verdict_pool import VerdictPool
from .verdicts import Opinion, opinion_of
from .verifying.verifier import Verifier


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

    async def of(self, lane: Lane, question: Question) -> Judged | None:
        """The candidate that a question's answer is, and its verdict; none if there is no answer.

        Raises:
            Stopped, Spent, PolicyError, TeacherError: as `Asker.ask`.
        """
        key = request_key(lane.teacher, question)
        if (earlier := await self.asker.concluded(key)) is not None:
            before = judged(earlier)
            opinion = opinion_of(question.study, *before, earlier.raw)
            outcome, packed = await self._compared(opinion), opinion.packed(question.study)
            if outcome.verdict != before.verdict:
                self.asker.record(judged_event(*outcome, packed))
        else:
            answer = await self.asker.ask(lane, question, key)
            if answer is None:
                return None
            opinion = await self.pool.judge(answer)
            outcome, packed = await self._compared(opinion), opinion.packed(question.study)
            self.asker.conclude(answer, judged_body(*outcome), packed)
        self._add_cost(outcome.candidate.cost_usd)
        return await self._verified(question.study, outcome, packed)

    def waits(self, outcome: Judged) -> bool:
        """Whether the verifier's answer comes later: nothing is repaired before."""
        return outcome.candidate.key in self._unverified

    async def _compared(self, opinion: Opinion) -> Judged:
        """The verdict with a doubt, if another study's trace says the same before another reference."""
        twin = await self.pool.compare(opinion)
        return opinion.judged if twin is None else Judged(opinion.candidate, self._as_template(opinion.verdict))

    def _as_template(self, verdict: Verdict) -> Verdict:
        return decided(marked(verdict, True, self.severities), self.doubts)

    async def _verified(self, study: Study, outcome: Judged, packed: bytes | None) -> Judged:
        """The verdict after the verifier has read the trace, if it is to."""
        if self.verifier is None or not self.verifier.wants(outcome.verdict):
            return outcome
        found = await self.verifier.verify(study, *outcome)
        self.tally.verified[found.state] += 1
        self._add_cost(found.cost_usd)
        if found.state == "waiting":
            self._unverified.add(outcome.candidate.key)
        if found.verdict != outcome.verdict:
            self.asker.record(judged_event(outcome.candidate, found.verdict, packed))
        return Judged(outcome.candidate, found.verdict)

    def _add_cost(self, usd: float | None) -> None:
        self.usd = None if usd is None or self.usd is None else self.usd + usd

    async def mark_early_templates(self, *, final: bool) -> None:
        """Give those traces their doubt that came before the others which say the same.

        Args:
            final: whether nothing more is made of a study after its first answer, so that nothing is left to do.
        """
        await self.asker.flush()
        found: set[str] = set()
        async for twin in self.pool.twins():
            found.add(twin.study_id)
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
                self.asker.record(judged_event(candidate, now, event.raw))
                self.tally.accepted -= verdict.accepted and not now.accepted
                self.tally.doubted += verdict.accepted and now.outcome == "doubt"
        self.tally.codes = +self.tally.codes
        if (note := Count(await self.pool.studies(), len(found)).note) is not None:
            self.tally.notes += (note,)
