"""The engine: takes studies one by one through ask, read, judge and repair, and journals every state.

    no event ──► planned + in_flight ──► received ──► judged        judged: read from the journal, never asked again
                        │    │                                      received: read and judged now
                        │    └──► failed (asked again next time)    in_flight, found at the start: nobody knows, so
                        └──► refused, unknown                       unknown; asked again only if the recipe says so

Everything is content-addressed: a second run asks the same questions, finds their keys in the journal, and does
nothing. This is the one place that is asynchronous. It does not know providers, prompts' words, or rules.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..data.run import RunFolder, judged, judged_event
from ..schemas.candidate import Candidate
from ..schemas.errors import LayoutError, TenstepError
from ..schemas.layout import parse
from ..schemas.recipe import CurateRecipe
from ..schemas.run import Event, State
from ..schemas.study import Study
from ..schemas.trace import Trace
from ..schemas.verdict import Verdict
from ..validators.gate import judge
from .prompt import Prompts
from .teacher import Question, Reply, Teacher, Unanswered, request_key


@dataclass
class Tally:
    """What has happened so far in this call."""

    studies: int = 0
    accepted: int = 0
    rejected: int = 0
    repaired: int = 0
    asked: int = 0  # requests sent by this call
    recalled: int = 0  # verdicts read from the journal
    unknown: int = 0
    failed: int = 0
    refused: int = 0
    spend_usd: float | None = 0.0
    codes: Counter[str] = field(default_factory=Counter)  # errors of the candidate that decided, by study


class Engine:
    """One call of `tenstep curate` on one run folder."""

    def __init__(
        self,
        run: RunFolder,
        recipe: CurateRecipe,
        teachers: Sequence[Teacher],
        on_study: Callable[[Tally], None] = lambda tally: None,
    ) -> None:
        self._run = run
        self._recipe = recipe
        self._teachers = teachers
        self._prompts = Prompts(recipe.prompt)
        self._on_study = on_study
        self._states = run.journal.states()
        self._stopped = False
        self.tally = Tally()

    def stop(self) -> None:
        """Admit no further study; those under way are finished."""
        self._stopped = True

    async def work(self) -> Tally:
        """Go through the studies until the goal or the data ends, or `stop` is called."""
        self._settle_flights()
        studies = self._admitted()
        workers = (self._worker(studies) for _ in range(self._recipe.concurrency))
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker)
        except* TenstepError as errors:
            raise errors.exceptions[0] from None  # the first one ended the run; the others are its echo
        return self.tally

    def _settle_flights(self) -> None:
        """Requests that an earlier process sent and never heard of again."""
        lost = [key for key, state in self._states.items() if state in (State.PLANNED, State.IN_FLIGHT)]
        for key in lost:
            event = self._run.journal.last(key, State.IN_FLIGHT)
            study = event.study_id if event else ""
            body = {"reason": "the process ended before the answer was read"}
            unknown = Event(key=key, state=State.UNKNOWN, study_id=study, at=time.time(), body=body)
            self._run.journal.append(unknown).result()
            self._states[key] = State.UNKNOWN

    def _admitted(self) -> Iterator[Study]:
        for study in self._run.studies:
            goal, limit = self._recipe.goal.accepted, self._recipe.limit
            if self._stopped or (goal and self.tally.accepted >= goal) or (limit and self.tally.studies >= limit):
                return
            self.tally.studies += 1
            yield study

    async def _worker(self, studies: Iterator[Study]) -> None:
        for study in studies:
            await self._curate(study)
            self._on_study(self.tally)

    async def _curate(self, study: Study) -> None:
        """Ask about one study until an answer is accepted or the attempts are used up."""
        teacher = self._teachers[(self.tally.studies - 1) % len(self._teachers)]
        previous: Candidate | None = None
        verdict: Verdict | None = None
        for attempt in range(1, 2 + (self._recipe.repair.attempts if teacher.mends else 0)):
            findings = [f for f in verdict.findings if f.severity == "error"] if verdict else []
            prompt = self._prompts.fill(study, previous, findings)
            question = Question(study, prompt, attempt=attempt, previous=previous)
            outcome = await self._ask(teacher, question)
            if outcome is None:
                return
            previous, verdict = outcome
            self._spend(previous)
            if verdict.accepted:
                self.tally.accepted += 1
                self.tally.repaired += attempt > 1
                return
        self.tally.rejected += 1
        self.tally.codes.update(verdict.codes if verdict else ())

    async def _ask(self, teacher: Teacher, question: Question) -> tuple[Candidate, Verdict] | None:
        key = request_key(teacher, question)
        state = self._states.get(key)
        if state is State.JUDGED:
            event = self._run.journal.last(key, State.JUDGED)
            assert event is not None
            self.tally.recalled += 1
            return judged(event)
        if state is State.REFUSED:
            self.tally.refused += 1
            return None
        if state is State.UNKNOWN and self._recipe.resend_unknown != "yes":
            self.tally.unknown += 1
            return None
        started, clock = time.time(), time.monotonic()
        if state is State.RECEIVED:
            event = self._run.journal.last(key, State.RECEIVED)
            assert event is not None
            raw, started, seconds = event.raw or b"", event.body["started_at"], event.body["seconds"]
        else:
            self.tally.asked += 1
            try:
                await self._commit(*self._departure(key, teacher, question))
                raw = await teacher.ask(question)
            except Unanswered as outcome:
                await self._end(key, question, outcome)
                return None
            seconds = time.monotonic() - clock
            body = {"started_at": started, "seconds": seconds}
            await self._commit(self._event(key, State.RECEIVED, question, body, raw))
        try:
            reply = teacher.read(raw)
        except Unanswered as outcome:
            await self._end(key, question, outcome)
            return None
        candidate = _candidate(key, teacher, question, reply, started, seconds)
        verdict = judge(question.study, candidate, self._recipe.severities)
        await self._commit(judged_event(candidate, verdict))
        return candidate, verdict

    def _departure(self, key: str, teacher: Teacher, question: Question) -> tuple[Event, Event]:
        body = {
            "teacher": teacher.name,
            "identity": dict(teacher.identity()),
            "prompt_id": question.prompt.id,
            "prompt_sha256": question.prompt.sha256,
            "attempt": question.attempt,
            "sample": question.sample,
            "parent": question.previous.key if question.previous else None,
        }
        planned = self._event(key, State.PLANNED, question, body)
        return planned, self._event(key, State.IN_FLIGHT, question, {})

    async def _end(self, key: str, question: Question, outcome: Unanswered) -> None:
        await self._commit(self._event(key, outcome.state, question, {"reason": outcome.reason}, outcome.raw))
        self.tally.unknown += outcome.state is State.UNKNOWN
        self.tally.failed += outcome.state is State.FAILED
        self.tally.refused += outcome.state is State.REFUSED

    @staticmethod
    def _event(
        key: str, state: State, question: Question, body: Mapping[str, object], raw: bytes | None = None
    ) -> Event:
        return Event(key=key, state=state, study_id=question.study.id, at=time.time(), body=dict(body), raw=raw)

    async def _commit(self, *events: Event) -> None:
        """Write events; on return they survive a power cut."""
        await asyncio.wrap_future(self._run.journal.append(*events))
        self._states[events[-1].key] = events[-1].state

    def _spend(self, candidate: Candidate) -> None:
        if candidate.cost_usd is None or self.tally.spend_usd is None:
            self.tally.spend_usd = None
        else:
            self.tally.spend_usd += candidate.cost_usd


def _candidate(
    key: str, teacher: Teacher, question: Question, reply: Reply, started: float, seconds: float
) -> Candidate:
    # a lone surrogate cannot be stored as UTF-8; the raw bytes in the journal keep what really came
    text = reply.text.encode("utf-8", "replace").decode()
    trace: Trace | None = None
    problem: str | None = None
    try:
        trace = parse(text)
    except LayoutError as error:
        problem = str(error)
    return Candidate(
        key=key,
        study_id=question.study.id,
        author="teacher",
        teacher=teacher.name,
        model=teacher.model,
        attempt=question.attempt,
        parent=question.previous.key if question.previous else None,
        sample=question.sample,
        prompt_id=question.prompt.id,
        prompt_sha256=question.prompt.sha256,
        saw_image=teacher.sees_images and bool(question.study.images),
        writes_report=question.prompt.writes_report,
        text=text,
        reasoning=reply.reasoning,
        trace=trace,
        parse_error=problem,
        usage=reply.usage,
        cost_usd=reply.cost_usd,
        stop_reason=reply.stop_reason,
        label=reply.label,
        started_at=started,
        seconds=seconds,
    )
