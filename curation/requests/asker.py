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
from dataclasses import dataclass

from ...data.judged import Judged, judged, judged_event
from ...data.run import RunFolder
from ...schemas.errors import InputError, TeacherError
from ...schemas.recipe import CurateRecipe
from ...schemas.run import Event, State
from ...validators.gate import judge
from ..clients.envelope import unseal
from ..doubts import decided, doubts_of
from ..teacher import Question, Reply, Unanswered, request_key
from .allowance import used_up
from .budget import Amount, Ledger, most, used
from .commits import Commits
from .gate import Stopped
from .lane import Lane
from .limits import Outcome, Ticket
from .records import candidate_of, event, plan
from .tally import Tally

_FIRST, _LONGEST = 0.5, 60.0  # seconds before the first retry of a request, and before any
_PATIENCE = 4  # times as many tries for a request that is turned away because there are too many
_HEAD = 4_096  # bytes of an answer in which its headers stand
_SCOUTS = 12  # requests more, at up to a minute each, before a teacher that has answered is given up


@dataclass(slots=True)
class _Answer:
    """What has been received for a question."""

    raw: bytes
    started: float
    seconds: float
    aside: Amount | None  # None: an earlier process set it aside
    ticket: Ticket | None = None


def settle_flights(run: RunFolder) -> dict[str, State]:
    """Requests that an earlier process sent and never heard of again: nobody knows. Returns all states, by key."""
    states = run.journal.states()
    for key in [key for key, state in states.items() if state in (State.PLANNED, State.IN_FLIGHT)]:
        flight = run.journal.last(key, State.IN_FLIGHT)
        study = flight.study_id if flight else ""
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
        self._doubts = doubts_of(recipe.model_dump())
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
            verdict = self._run.journal.last(key, State.JUDGED)
            assert verdict is not None
            self._tally.recalled += 1
            await asyncio.sleep(0)  # a long run is recalled without a pause otherwise, and deaf to Ctrl-C
            return judged(verdict)
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
        received = self._run.journal.last(key, State.RECEIVED)
        assert received is not None
        return _Answer(received.raw or b"", received.body["started_at"], received.body["seconds"], None)

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
            _heed(lane, raw)
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
            await self._commits.write(event(key, State.FAILED, question, {"reason": error.message}))
            raise
        except BaseException:
            self._ledger.keep(aside)
            raise
        finally:
            lane.gate.leave(ticket, outcome, retry_after)
        seconds = time.monotonic() - clock
        await self._commits.write(
            event(key, State.RECEIVED, question, {"started_at": started, "seconds": seconds}, raw)
        )
        self._states[key] = State.RECEIVED
        return _Answer(raw, started, seconds, aside, ticket)

    async def _board(self, lane: Lane, question: Question, key: str, aside: Amount) -> Ticket:
        """Put the departure on disk, and wait at the gate.

        Raises:
            Stopped: nothing more is to be sent.
        """
        await lane.gate.board()
        try:
            flight = event(key, State.IN_FLIGHT, question, {"tokens": aside.tokens, "usd": aside.usd})
            planned = () if key in self._states else (plan(key, lane.teacher, question),)
            await self._commits.write(*planned, flight)
            self._states[key] = State.IN_FLIGHT
            try:
                return await lane.gate.enter(lane.tokens or aside.tokens / 4)
            except BaseException:
                self._commits.later(event(key, State.FAILED, question, {"reason": "it was not sent", "sent": False}))
                self._states[key] = State.FAILED
                raise
        except BaseException:
            lane.gate.disembark()
            raise

    def _judge(self, lane: Lane, question: Question, key: str, reply: Reply, answer: _Answer) -> Judged:
        cost = lane.cost(reply)
        self._ledger.settle(answer.aside, used(reply.usage, cost))
        lane.learn(reply.usage)
        if answer.ticket is not None and lane.tokens:
            lane.gate.pace.settle(answer.ticket.tokens, used(reply.usage, cost).tokens)
        candidate = candidate_of(key, lane.teacher, question, reply, answer.started, answer.seconds, cost)
        verdict = decided(judge(question.study, candidate, self._recipe.severities), self._doubts)
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
        await self._commits.write(event(key, outcome.state, question, body, outcome.raw))
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


def _heed(lane: Lane, raw: bytes) -> None:
    """Send nothing while the provider says that nothing is left."""
    if lane.teacher.endpoints and b"ratelimit-" in raw[:_HEAD]:
        seconds = used_up(unseal(raw).headers, time.time())
        if seconds:
            lane.gate.pace.pause(asyncio.get_running_loop().time(), seconds)


def _outcome(unanswered: Unanswered) -> Outcome:
    """What a request without an answer says of its endpoint."""
    if unanswered.throttled or unanswered.retry_after is not None:
        return "throttled"
    if unanswered.state is State.REFUSED or (unanswered.state is State.FAILED and not unanswered.retryable):
        return "answered"
    return "lost"
