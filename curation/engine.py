"""The engine: takes studies one by one through ask, judge and repair, until the goal, the budget or the data ends.

    no event ──► in_flight ──► received ──► judged        judged: read from the journal, never asked again
                 ▲    │  │                                received: read and judged now
      with delay │    │  └──► failed: sent again while tries are left, and again next time
                 └────┤                                   in_flight, found at the start: nobody knows, so
                      └──► refused, unknown               unknown; asked again only if the recipe says so

Everything is content-addressed: a second run asks the same questions, finds their keys in the journal, and does
nothing. Studies come from a lazy source; each worker takes the next as soon as it is done with its last, so there
are no waves; and no more studies are open than the goal could still need. With several teachers, `split` gives each
its own share of the studies and its own workers, so that one that waits holds up no other; `best` gives every study
to all of them. This is the one place that is asynchronous. How one question is asked is in asker.py. It does not
know providers, prompts' words, or rules.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from ..data.choice import rank
from ..data.judged import Judged, judged, judged_body, judged_event
from ..data.run import RunFolder
from ..schemas.candidate import Candidate
from ..schemas.errors import RecipeError
from ..schemas.recipe import CurateRecipe
from ..schemas.run import State
from ..schemas.study import Study
from ..schemas.verdict import Finding, Verdict
from ..validators.gate import prepare
from .doubts import decided, doubts_of
from .prompt import Prompts
from .requests.budget import Lane
from .requests.forecast import Forecast, forecast
from .requests.session import Session
from .requests.tally import Reason, Tally
from .teacher import Question, Teacher, request_key
from .template_trace import Count, Templates, marked
from .verdict_pool import VerdictPool
from .verdicts import Opinion, opinion_of
from .verifying.verifier import Verifier

_AHEAD = 16  # studies in judgement beside those under way, so that no gate waits for a worker


class Engine:
    """One call of `tenstep curate` on one run folder.

    Args:
        run: open for writing.
        recipe: resolved.
        teachers: loaded from it, in its order.
        verifier: loaded from it, if it names one.
        workers: processes that judge; with 0 this one does.
        on_study: called for every study that has come to an end.
        consent: asked after the pilot of a goal whether to go on.

    Raises:
        PolicyError, RecipeError: see policy.py and budget.py; before anything is read or sent.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: CurateRecipe,
        teachers: Sequence[Teacher],
        verifier: Teacher | None = None,
        workers: int = 0,
        on_study: Callable[[Tally], None] = lambda tally: None,
        consent: Callable[[Forecast], bool] = lambda forecast: True,
    ) -> None:
        self._prompts = Prompts(recipe.prompt)
        if self._prompts.needs_images and (blind := [t.name for t in teachers if not t.sees_images]):
            message = f"the prompt {self._prompts.id} is about images, and teacher '{blind[0]}' sees none"
            raise RecipeError(message, field="prompt")
        self.session = Session(run, recipe, [*teachers, verifier] if verifier else teachers)
        self._asker = self.session.asker
        self._lanes = self.session.lanes[: len(teachers)]
        self._doubts = doubts_of(recipe.model_dump())
        self._pool = VerdictPool(workers, recipe.severities, self._doubts, recipe.rules)
        self._ahead = max(_AHEAD, recipe.concurrency if workers else 0)
        self._verifier: Verifier | None = None
        if verifier is not None and recipe.verifier is not None:
            lane = self.session.lanes[-1]
            self._verifier = Verifier(lane, self._asker, recipe.verifier, recipe.verify, self._doubts)
        self.tally = self.session.tally
        self._run = run
        self._recipe = recipe
        self._names = [teacher.name for teacher in teachers]
        self._mended = {kind.removesuffix("s") for kind in recipe.repair.feed}  # severities
        self._on_study = on_study
        self._consent = consent
        self._judged_usd: float | None = 0.0  # of the studies of this call, recalled or not
        self._open = 0  # studies under way
        self._unverified: set[str] = set()  # candidates whose verifier answers in a later pass or call
        self._room = asyncio.Event()  # set when one of them ends
        self._quota: int | None = None  # studies of the pilot

    def stop(self, reason: Reason = "stopped") -> None:
        """Send nothing more; requests under way are waited for and journalled."""
        self.session.stop(reason)
        self._room.set()

    async def work(self) -> Tally:
        """Go through the studies until the goal, the budget or the data ends, or `stop` is called.

        Raises:
            Exception: what ended the call early: a teacher that cannot be asked at all, a journal that cannot be
                written, or a fault of ours; what was under way has been waited for and journalled.
        """
        prepare()  # the rules' lexicons, while there are files to open
        goal, sources = self._recipe.goal, self._sources()
        self._templates = Templates()
        try:
            if goal.accepted and goal.pilot and goal.accepted > goal.pilot:
                self._quota = goal.pilot
                await self._through(sources)
                self._quota = None
                self._after_pilot(goal.accepted, goal.pilot)
            await self._through(sources)
            await self._mark_early_templates()
        finally:
            self._templates.close()
            await self._pool.close()
            if self._goal_is_met:
                self.session.ended = self.session.ended or "goal"
            if self._verifier is not None and self._verifier.note and self.tally.verified:
                self.tally.notes += (self._verifier.note,)
            await self.session.close()
        return self.tally

    @property
    def _goal_is_met(self) -> bool:
        goal = self._recipe.goal.accepted
        return goal is not None and self.tally.accepted >= goal

    @property
    def _alone(self) -> bool:
        """Whether the first answer to a study is all that is ever made of it."""
        several = self._recipe.several
        one = several.samples == 1 and several.strategy == "split"
        repairs = self._recipe.repair.attempts and any(lane.teacher.can_repair for lane in self._lanes)
        return one and not repairs and self._verifier is None

    def _sources(self) -> list[tuple[list[Lane], Iterator[Study]]]:
        """Who works on which studies."""

        def share(of: int) -> Iterator[Study]:
            first = islice(self._run.studies, self._recipe.limit)
            return (study for at, study in enumerate(first) if at % len(self._lanes) == of)

        if self._recipe.several.strategy == "best":
            return [(self._lanes, islice(self._run.studies, self._recipe.limit))]
        return [([lane], share(at)) for at, lane in enumerate(self._lanes)]

    async def _through(self, sources: Sequence[tuple[list[Lane], Iterator[Study]]]) -> None:
        async with asyncio.TaskGroup() as group:
            for team, studies in sources:
                work = self.session.work(
                    partial(self._next, studies), partial(self._one, team), self._recipe.concurrency + self._ahead
                )
                group.create_task(work)

    async def _one(self, team: Sequence[Lane], study: Study) -> None:
        try:
            await self._curate(team, study)
        finally:
            self._open -= 1
            self._room.set()
        self.session.sum_up()
        self._on_study(self.tally)

    async def _next(self, studies: Iterator[Study]) -> Study | None:
        goal, tally = self._recipe.goal.accepted, self.tally
        while self.session.ended is None:
            if self._goal_is_met:
                self.stop("goal")
            elif self._quota is not None and tally.studies >= self._quota:
                return None
            elif goal and tally.accepted + self._open >= goal:
                self._room.clear()
                await self._room.wait()
            else:
                study = next(studies, None)
                if study is not None:
                    tally.studies += 1
                    self._open += 1
                return study
        return None

    async def _curate(self, team: Sequence[Lane], study: Study) -> None:
        """All that is wanted for one study."""
        samples = range(self._recipe.several.samples)
        chains = [self._chain(lane, study, sample) for lane in team for sample in samples]
        ends = [await chains[0]] if len(chains) == 1 else await asyncio.gather(*chains, return_exceptions=True)
        if errors := [end for end in ends if isinstance(end, BaseException)]:
            raise errors[0]  # only now: the others have been waited for
        judged = [end for end in ends if isinstance(end, Judged)]
        accepted = [end for end in judged if end.verdict.accepted]
        if accepted:
            chosen = min(accepted, key=lambda one: rank(one.candidate, one.verdict, self._names))
            self.tally.accepted += 1
            self.tally.repaired += chosen.candidate.attempt > 1
        elif judged:
            best = next((end for end in judged if end.verdict.outcome == "doubt"), judged[0])
            self.tally.doubted += best.verdict.outcome == "doubt"
            self.tally.rejected += best.verdict.outcome == "reject"
            self.tally.codes.update(best.verdict.codes)

    async def _chain(self, lane: Lane, study: Study, sample: int) -> Judged | None:
        """Ask one teacher until an answer is accepted, or nothing of it is to be repaired, or the attempts are used up.

        Returns:
            The accepted one, else the last one in doubt, else the last; none if the first question found no answer.
        """
        previous: Candidate | None = None
        findings: list[Finding] = []
        in_doubt: Judged | None = None
        repairs = self._recipe.repair.attempts if lane.teacher.can_repair and self._prompts.repairs else 0
        for attempt in range(1, 2 + repairs):
            prompt = self._prompts.fill(study, previous, findings)
            path_of = self._run.studies.path_of
            question = Question(study, prompt, attempt=attempt, sample=sample, previous=previous, path_of=path_of)
            if previous is not None:
                earlier = replace(question, prompt=self._prompts.fill(study, previous, findings, in_rules_words=True))
                question = earlier if self._asker.knows(lane, earlier) else question
            if self._prompts.needs_images and not study.images:
                await self._asker.record_skipped(lane, question, "the prompt is about images, and the study has none")
                return None
            outcome = await self._judged(lane, question)
            if outcome is None:
                return in_doubt
            self._add_cost(outcome.candidate.cost_usd)
            in_doubt = outcome if outcome.verdict.outcome == "doubt" else in_doubt
            findings = [f for f in outcome.verdict.findings if f.severity in self._mended]
            if outcome.verdict.accepted or not findings or self._waits(outcome):
                break
            previous = outcome.candidate
        return outcome if outcome is not None and outcome.verdict.accepted else in_doubt or outcome

    async def _judged(self, lane: Lane, question: Question) -> Judged | None:
        """The verdict on one question's answer, from the journal or new; none if there is no answer."""
        key = request_key(lane.teacher, question)
        if (earlier := await self._asker.concluded(key)) is not None:
            before = judged(earlier)
            opinion = opinion_of(question.study, *before, earlier.raw)
            outcome, packed = self._compared(opinion), opinion.packed(question.study)
            if outcome.verdict != before.verdict:
                self._asker.record(judged_event(*outcome, packed))
            return await self._verified(question.study, outcome, packed)
        answer = await self._asker.ask(lane, question, key)
        if answer is None:
            return None
        opinion = await self._pool.judge(answer)
        outcome, packed = self._compared(opinion), opinion.packed(question.study)
        self._asker.conclude(answer, judged_body(*outcome), packed)
        return await self._verified(question.study, outcome, packed)

    def _compared(self, opinion: Opinion) -> Judged:
        """The verdict with a doubt, if another study's trace says the same before another reference."""
        candidate, verdict, sketches = opinion
        if sketches is None:
            return opinion.judged
        twin = self._templates.add(candidate.key, candidate.study_id, *sketches)
        return opinion.judged if twin is None else Judged(candidate, self._as_template(verdict))

    def _as_template(self, verdict: Verdict) -> Verdict:
        return decided(marked(verdict, True, self._recipe.severities), self._doubts)

    async def _mark_early_templates(self) -> None:
        """Give those their doubt that came before anybody could know."""
        await self._asker.flush()
        found: set[str] = set()
        for twin in self._templates.twins():
            found.add(twin.study_id)
            event = self._run.journal.last(twin.key, State.JUDGED)
            if event is None:
                continue
            candidate, verdict = judged(event)
            now = self._as_template(verdict)
            if now != verdict:
                self.tally.reopened += not self._alone
                if self._alone and not verdict.accepted:  # its codes were counted
                    self.tally.codes.subtract(verdict.codes)
                if verdict.accepted or self._alone:
                    self.tally.codes.update(now.codes)
                self._asker.record(judged_event(candidate, now, event.raw))
                self.tally.accepted -= verdict.accepted and not now.accepted
                self.tally.doubted += verdict.accepted and now.outcome == "doubt"
        self.tally.codes = +self.tally.codes
        if (note := Count(self._templates.studies, len(found)).note) is not None:
            self.tally.notes += (note,)

    async def _verified(self, study: Study, outcome: Judged, packed: bytes | None) -> Judged:
        """The verdict after the verifier has read the trace, if it is to; its word is journalled as a new verdict."""
        if self._verifier is None or not self._verifier.wants(outcome.verdict):
            return outcome
        found = await self._verifier.verify(study, *outcome)
        self.tally.verified[found.state] += 1
        self._add_cost(found.cost_usd)
        if found.state == "waiting":
            self._unverified.add(outcome.candidate.key)
        if found.verdict != outcome.verdict:
            self._asker.record(judged_event(outcome.candidate, found.verdict, packed))
        return Judged(outcome.candidate, found.verdict)

    def _add_cost(self, usd: float | None) -> None:
        self._judged_usd = None if usd is None or self._judged_usd is None else self._judged_usd + usd

    def _waits(self, outcome: Judged) -> bool:
        """Whether the verifier's answer comes later: nothing is repaired before."""
        return outcome.candidate.key in self._unverified

    def _after_pilot(self, goal: int, pilot: int) -> None:
        tally = self.tally
        studies = min(len(self._run.studies), self._recipe.limit or len(self._run.studies))
        tally.forecast = forecast(
            goal=goal,
            accepted=tally.accepted,
            studies=tally.studies,
            calls=tally.asked + tally.recalled,
            usd=self._judged_usd,
            studies_left=studies - tally.studies,
        )
        agreed = self.session.history.studies > pilot  # an earlier call went on from here
        if (
            self.session.ended is None
            and not self.session.spent
            and tally.forecast
            and not agreed
            and not self._consent(tally.forecast)
        ):
            self.stop("pilot")
