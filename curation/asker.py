"""Asker: takes one question to its verdict. It is the only owner of retries, and journals every one it sends.

    no event ──► planned + in_flight ──► received ──► judged        judged: read from the journal, never asked again
                   ▲    │    │                                      received: read and judged now
        with delay │    │    └──► failed: in_flight again, while tries are left and the server may change its mind
                   └────┤
                        └──► refused: an end. unknown: an end, unless the recipe says that it may be sent again

A request is sent only when its budget is set aside, its endpoint's gate is open and its departure is on disk.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ..data.run import Judged, RunFolder, judged, judged_event
from ..schemas.candidate import Candidate
from ..schemas.errors import InputError, LayoutError, TeacherError
from ..schemas.layout import parse
from ..schemas.recipe import CurateRecipe
from ..schemas.run import Event, State
from ..schemas.trace import Trace
from ..validators.gate import judge
from .budget import Amount, Ledger, most, used
from .commits import Commits
from .gate import Stopped
from .lane import Lane
from .limits import Outcome, Ticket
from .tally import Tally
from .teacher import Question, Reply, Teacher, Unanswered, request_key

_FIRST, _LONGEST = 0.5, 60.0  # seconds before the first retry of a request, and before any
_PATIENCE = 4  # times as many tries for a request that is turned away because there are too many
_SCOUTS = 12  # requests more, at up to a minute each, before a teacher that has answered is given up


@dataclass(slots=True)
class _Answer:
    """What has been received for a question."""

    raw: bytes
    started: float
    seconds: float
    aside: Amount | None  # None: an earlier process set it aside


def settle_flights(run: RunFolder) -> dict[str, State]:
    """Requests that an earlier process sent and never heard of again: nobody knows. Returns all states, by key."""
    states = run.journal.states()
    for key in [key for key, state in states.items() if state in (State.PLANNED, State.IN_FLIGHT)]:
        event = run.journal.last(key, State.IN_FLIGHT)
        study = event.study_id if event else ""
        body = {"reason": "the process ended before the answer was read"}
        unknown = Event(key=key, state=State.UNKNOWN, study_id=study, at=time.time(), body=body)
        run.journal.append(unknown).result()
        states[key] = State.UNKNOWN
    return states


class Asker:
    """Asks for one engine."""

    def __init__(
        self, run: RunFolder, recipe: CurateRecipe, ledger: Ledger, tally: Tally, states: dict[str, State]
    ) -> None:
        self._run = run
        self._recipe = recipe
        self._ledger = ledger
        self._tally = tally
        self._states = states
        self._commits = Commits(run.journal)
        self._stopped = asyncio.Event()
        self._random = random.Random(recipe.seed)  # noqa: S311  spreads retries; no secret

    def stop(self) -> None:
        """Send nothing more; what is under way is waited for."""
        self._stopped.set()

    async def leave(self, lane: Lane, question: Question, reason: str) -> None:
        """Record that a question is not asked at all."""
        key = request_key(lane.teacher, question)
        await self._end(lane, question, key, Unanswered(State.FAILED, reason, sent=False))
        self._tally.failed += 1

    async def flush(self) -> None:
        """Wait until all verdicts are on disk."""
        await self._commits.flush()

    async def ask(self, lane: Lane, question: Question) -> Judged | None:
        """A verdict, from the journal or from the teacher; none if there is no answer to judge.

        Raises:
            Stopped: nothing more is to be sent, and this would have been.
            Spent: the budget has no room for it.
            TeacherError: the teacher cannot be asked at all.
        """
        key = request_key(lane.teacher, question)
        state = self._states.get(key)
        if state is State.JUDGED:
            event = self._run.journal.last(key, State.JUDGED)
            assert event is not None
            self._tally.recalled += 1
            return judged(event)
        if state is State.REFUSED:
            self._tally.refused += 1
            return None
        if state is State.UNKNOWN and self._recipe.resend_unknown != "yes":
            self._tally.unknown += 1
            return None
        turned_away = throttled = 0
        while True:
            answer: _Answer | None = None
            try:
                answer = self._recall(key) if state is State.RECEIVED else await self._send(lane, question, key)
                reply = lane.teacher.read(answer.raw)
            except Unanswered as outcome:
                state = outcome.state
                if answer is not None:  # it came, and may have been paid for, but cannot be used
                    self._account(lane, outcome, answer.aside, received=True)
                await self._end(lane, question, key, outcome)
                if not self._again(outcome):
                    break
                self._check_alive(lane, outcome)
                throttled += outcome.throttled
                turned_away += not outcome.throttled
                if turned_away > self._recipe.retries or throttled > _PATIENCE * self._recipe.retries:
                    break
                await self._pause(turned_away + throttled, outcome)
            else:
                return self._judge(lane, question, key, reply, answer)
        self._tally.unknown += state is State.UNKNOWN
        self._tally.failed += state is State.FAILED
        self._tally.refused += state is State.REFUSED
        return None

    def _recall(self, key: str) -> _Answer:
        event = self._run.journal.last(key, State.RECEIVED)
        assert event is not None
        return _Answer(event.raw or b"", event.body["started_at"], event.body["seconds"], None)

    async def _send(self, lane: Lane, question: Question, key: str) -> _Answer:
        if self._stopped.is_set():
            raise Stopped
        aside = most(lane.teacher, question, lane.price)
        await self._ledger.reserve(aside)
        try:
            ticket = await self._board(lane, question, key, aside)
        except BaseException:
            self._ledger.undo(aside)
            raise
        outcome: Outcome = "lost"
        retry_after: float | None = None
        self._tally.asked += 1
        started, clock = time.time(), time.monotonic()
        try:
            raw = await lane.teacher.ask(question)
            outcome = "answered"
        except Unanswered as unanswered:
            outcome, retry_after = _outcome(unanswered), unanswered.retry_after
            self._account(lane, unanswered, aside)
            raise
        except (TeacherError, InputError) as error:
            # nothing can have been paid: the request was not made, or was turned away for a reason that stays
            outcome = "answered"
            if isinstance(error, InputError):
                self._ledger.undo(aside)
                raise Unanswered(State.FAILED, error.message, sent=False) from None
            lane.gate.close()  # before this one leaves it, and the next one goes the same way
            self._ledger.settle(aside, Amount())
            await self._commits.write(_event(key, State.FAILED, question, {"reason": error.message}))
            raise
        except BaseException:
            self._ledger.keep(aside)
            raise
        finally:
            lane.gate.leave(ticket, outcome, retry_after)
        seconds = time.monotonic() - clock
        await self._commits.write(
            _event(key, State.RECEIVED, question, {"started_at": started, "seconds": seconds}, raw)
        )
        self._states[key] = State.RECEIVED
        return _Answer(raw, started, seconds, aside)

    async def _board(self, lane: Lane, question: Question, key: str, aside: Amount) -> Ticket:
        """Put the departure on disk, then wait at the gate: so the disk is waited for while others are under way.

        The few that wait at the gate like this count as sent if the process is killed.
        """
        async with lane.berths:
            if self._stopped.is_set():
                raise Stopped
            await self._commits.write(*self._departure(key, lane.teacher, question, aside))
            self._states[key] = State.IN_FLIGHT
            try:
                return await lane.gate.enter(lane.tokens or aside.tokens / 4)
            except BaseException:
                self._commits.later(_event(key, State.FAILED, question, {"reason": "it was not sent", "sent": False}))
                self._states[key] = State.FAILED
                raise

    def _judge(self, lane: Lane, question: Question, key: str, reply: Reply, answer: _Answer) -> Judged:
        cost = lane.cost(reply)
        self._ledger.settle(answer.aside, used(reply.usage, cost))
        lane.learn(reply.usage)
        candidate = _candidate(key, lane.teacher, question, reply, answer, cost)
        verdict = judge(question.study, candidate, self._recipe.severities)
        # not waited for: the answer is on disk, and would be judged again
        self._commits.later(judged_event(candidate, verdict))
        self._states[key] = State.JUDGED
        return Judged(candidate, verdict)

    def _account(self, lane: Lane, outcome: Unanswered, aside: Amount | None, *, received: bool = False) -> None:
        """Settle a request that brought no answer to judge."""
        if outcome.usage is not None:
            self._ledger.settle(aside, used(outcome.usage, lane.cost_of(outcome.usage)))
        elif outcome.state is State.UNKNOWN or received:
            self._ledger.keep(aside)
        elif not outcome.sent and aside is not None:
            self._ledger.undo(aside)
        else:
            self._ledger.settle(aside, Amount())

    async def _end(self, lane: Lane, question: Question, key: str, outcome: Unanswered) -> None:
        body: dict[str, object] = {"reason": outcome.reason}
        if not outcome.sent:
            body["sent"] = False
        if outcome.usage is not None:
            body |= {"usage": outcome.usage.model_dump(), "usd": lane.cost_of(outcome.usage)}
        await self._commits.write(_event(key, outcome.state, question, body, outcome.raw))
        self._states[key] = outcome.state

    def _again(self, outcome: Unanswered) -> bool:
        if outcome.state is State.UNKNOWN:
            return self._recipe.resend_unknown == "yes"
        return outcome.state is State.FAILED and outcome.retryable

    def _check_alive(self, lane: Lane, outcome: Unanswered) -> None:
        """See whether a teacher is gone: so many requests in a row, each sent alone, that found no answer.

        One that never answered is believed sooner; one that names a time to wait for is alive.

        Raises:
            TeacherError: it is gone.
        """
        pace = lane.gate.pace
        patience = self._recipe.retries + (_SCOUTS if pace.answers else 0)
        if pace.misses > patience and not (pace.answers and outcome.retry_after):
            lane.gate.close()
            raise TeacherError(
                f"teacher '{lane.teacher.name}' gave no answer to {pace.misses} requests in a row ({outcome.reason}); "
                "see to the server, then run the same command again"
            )

    async def _pause(self, tries: int, outcome: Unanswered) -> None:  # tries: from 1
        """Wait before the next try. The gate keeps the shared cooldown; this is the request's own.

        Raises:
            Stopped: the wait is over because the run is.
        """
        seconds = (
            0.0 if outcome.retry_after else min(_LONGEST, _FIRST * 2.0 ** (tries - 1)) * self._random.uniform(0.5, 1.0)
        )
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped

    def _departure(self, key: str, teacher: Teacher, question: Question, aside: Amount) -> tuple[Event, ...]:
        flight = _event(key, State.IN_FLIGHT, question, {"tokens": aside.tokens, "usd": aside.usd})
        if key in self._states:
            return (flight,)
        body = {
            "teacher": teacher.name,
            "identity": dict(teacher.identity()),
            "prompt_id": question.prompt.id,
            "prompt_sha256": question.prompt.sha256,
            "attempt": question.attempt,
            "sample": question.sample,
            "parent": question.previous.key if question.previous else None,
        }
        return _event(key, State.PLANNED, question, body), flight


def _outcome(unanswered: Unanswered) -> Outcome:
    """What a request without an answer says of its endpoint."""
    if unanswered.throttled or unanswered.retry_after is not None:
        return "throttled"
    if unanswered.state is State.REFUSED or (unanswered.state is State.FAILED and not unanswered.retryable):
        return "answered"
    return "lost"


def _event(key: str, state: State, question: Question, body: Mapping[str, object], raw: bytes | None = None) -> Event:
    return Event(key=key, state=state, study_id=question.study.id, at=time.time(), body=dict(body), raw=raw)


def _candidate(
    key: str, teacher: Teacher, question: Question, reply: Reply, answer: _Answer, cost: float | None
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
        cost_usd=cost,
        stop_reason=reply.stop_reason,
        label=reply.label,
        started_at=answer.started,
        seconds=answer.seconds,
    )
