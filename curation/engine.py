"""The engine: takes studies one by one through ask, judge and repair, until the goal, the budget or the data ends.

    no event ──► in_flight ──► received ──► judged        judged: read from the journal, never asked again
                 ▲    │  │                                received: read and judged now
      with delay │    │  └──► failed: sent again while tries are left, and again next time
                 └────┤                                   in_flight, found at the start: it is lost, so
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

from ..data.choice import rank
from ..data.ends import End, Ended
from ..data.judged import Judged
from ..data.run import RunFolder
from ..data.sharding import Shard, chosen, count
from ..schemas.candidate import Candidate
from ..schemas.curate_recipe import CurateRecipe
from ..schemas.errors import RecipeError
from ..schemas.study import Study
from ..schemas.verdict import Finding
from .doubts import doubts_of
from .judgement import Course, Judgement
from .kept_traces import KeptTraces
from .prompt import Prompts
from .requests.budget import Lane
from .requests.forecast import Forecast, forecast
from .requests.session import Session
from .requests.tally import Reason, Tally
from .teacher import Question, Teacher
from .verdict_pool import VerdictPool
from .verifying.verifier import Verifier

_AHEAD = 16  # studies that may be in judgement while others are in flight, so that no gate waits for a worker


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
        mark: of all that the end of a study depends on (settled.py); none if ends are not noted.

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
        mark: str | None = None,
    ) -> None:
        self._prompts = Prompts(recipe.prompt)
        if self._prompts.needs_images and (blind := [t.name for t in teachers if not t.sees_images]):
            message = f"the prompt {self._prompts.id} is about images, and teacher '{blind[0]}' sees none"
            raise RecipeError(message, field="prompt")
        self.session = Session(run, recipe, [*teachers, verifier] if verifier else teachers)
        self._asker = self.session.asker
        self._lanes = self.session.lanes[: len(teachers)]
        doubts = doubts_of(recipe.model_dump())
        self._verifier: Verifier | None = None
        if verifier is not None and recipe.verifier is not None:
            self._verifier = Verifier(self.session.lanes[-1], self._asker, recipe.verifier, recipe.verify, doubts)
        self._pool = VerdictPool(workers, recipe.severities, doubts, recipe.rules)
        self.tally = self.session.tally
        self._judgement = Judgement(run, recipe.severities, doubts, self._asker, self._pool, self._verifier, self.tally)
        self._ahead = max(_AHEAD, recipe.concurrency if workers else 0)
        self._run = run
        self._recipe = recipe
        self._names = [teacher.name for teacher in teachers]
        self._repaired = {kind.removesuffix("s") for kind in recipe.repair.feed}  # severities
        self._on_study = on_study
        self._consent = consent
        self._open = 0  # studies that were taken and have no end
        self._room = asyncio.Event()  # set when one of them ends
        self._quota: int | None = None  # studies of the pilot
        self._mark = mark
        self._passed: bytes | None = None  # by place in the store: 1 for studies that have their end

    def stop(self, reason: Reason = "stopped") -> None:
        """Send nothing more; requests in flight are waited for and journalled."""
        self.session.stop(reason)
        self._room.set()

    async def work(self) -> Tally:
        """Go through the studies until the goal, the budget or the data ends, or `stop` is called.

        Raises:
            Exception: what ended the call early: a teacher that cannot be asked at all, a journal that cannot be
                written, or a fault of ours; what was in flight has been waited for and journalled.
        """
        if self._mark is None:
            return await self._work(None, None)
        limit, journal = self._recipe.limit, self._run.journal
        with KeptTraces(self._run.path, journal, self._mark, limit) as kept:
            return await self._work(kept, journal.ended(self._mark, self._run.studies.index, limit))

    async def _work(self, kept: KeptTraces | None, ended: Ended | None) -> Tally:
        goal = self._recipe.goal
        try:
            if kept is not None and ended is not None:
                self._passed = await self._judgement.pass_over(ended, kept)
                if self.tally.passed_over:
                    self.session.sum_up()
                    self._on_study(self.tally)
            sources = self._sources()
            if goal.accepted and goal.pilot and goal.accepted > goal.pilot:
                self._quota = goal.pilot
                await self._through(sources)
                self._quota = None
                self._after_pilot(goal.accepted, goal.pilot)
            await self._through(sources)
            await self._judgement.mark_early_templates(final=self._one_answer, mark=self._mark)
            if kept is not None:
                await self._judgement.keep_traces(kept)
        finally:
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
    def _one_answer(self) -> bool:
        """Whether the first answer to a study is all that is ever made of it."""
        several = self._recipe.several
        one = several.samples == 1 and several.strategy == "split"
        repairs = self._recipe.repair.attempts and any(lane.teacher.can_repair for lane in self._lanes)
        return one and not repairs and self._verifier is None

    def _sources(self) -> list[tuple[list[Lane], Iterator[Study]]]:
        """Who works on which studies."""

        recipe, shard = self._recipe, Shard.parse(self._recipe.shard)

        def share(of: int) -> Iterator[Study]:  # by place, so that a shard gives a study to whom the whole would
            studies = chosen(self._run.studies, recipe.limit, shard, self._passed)
            return (study for place, study in studies if place % len(self._lanes) == of)

        if recipe.several.strategy == "best":
            studies = chosen(self._run.studies, recipe.limit, shard, self._passed)
            return [(self._lanes, (study for _, study in studies))]
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
        samples, course = range(self._recipe.several.samples), Course()
        chains = [self._chain(lane, study, sample, course) for lane in team for sample in samples]
        ends = [await chains[0]] if len(chains) == 1 else await asyncio.gather(*chains, return_exceptions=True)
        if errors := [end for end in ends if isinstance(end, BaseException)]:
            raise errors[0]  # only now: the others have been waited for
        judged = [end for end in ends if isinstance(end, Judged)]
        if not judged:
            return
        if accepted := [end for end in judged if end.verdict.accepted]:
            best = min(accepted, key=lambda one: rank(one.candidate, one.verdict, self._names))
        else:
            best = next((end for end in judged if end.verdict.outcome == "doubt"), judged[0])
        outcome, codes = best.verdict.outcome, () if accepted else tuple(best.verdict.codes)
        repaired = bool(accepted) and best.candidate.attempt > 1
        self.tally.accepted += outcome == "accept"
        self.tally.doubted += outcome == "doubt"
        self.tally.rejected += outcome == "reject"
        self.tally.repaired += repaired
        self.tally.codes.update(codes)
        if self._mark is not None and course.closed:
            figures = course.answers, course.usd, codes, course.verified
            self._asker.record(End(study.id, self._mark, outcome, repaired, *figures))

    async def _chain(self, lane: Lane, study: Study, sample: int, course: Course) -> Judged | None:
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
                course.closed = False
                return None
            outcome = await self._judgement.of(lane, question, course)
            if outcome is None:
                return in_doubt
            in_doubt = outcome if outcome.verdict.outcome == "doubt" else in_doubt
            findings = [f for f in outcome.verdict.findings if f.severity in self._repaired]
            if outcome.verdict.accepted or not findings or self._judgement.waits(outcome):
                break
            previous = outcome.candidate
        return outcome if outcome is not None and outcome.verdict.accepted else in_doubt or outcome

    def _after_pilot(self, goal: int, pilot: int) -> None:
        tally = self.tally
        studies = count(self._run.studies, self._recipe.limit, Shard.parse(self._recipe.shard))
        tally.forecast = forecast(
            goal=goal,
            accepted=tally.accepted,
            studies=tally.studies,
            calls=tally.asked + tally.recalled,
            usd=self._judgement.usd,
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
