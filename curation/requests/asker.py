"""Asker: takes one question to its answer. It is the only owner of retries, and journals every request it sends.

    no event ──► in_flight ──► received ──► judged        judged: its caller has concluded what it is
                 ▲    │  │                                received: read now, not asked again
      with delay │    │  └──► failed: in_flight again, while tries are left and the server may change its mind
                 └────┤
                      └──► refused: an end. unknown: an end, unless the recipe says that it may be sent again

How one request is sent is in sending.py. The asker does not know what an answer is for: its caller says so with
`conclude`, and what is journalled then is the caller's.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...data.ends import End
from ...data.run import RunFolder
from ...data.states import States
from ...schemas.errors import TeacherError
from ...schemas.policy import PolicyDecision
from ...schemas.recipe import RequestOptions
from ...schemas.run import Event, State
from ..teacher import Question, Reply, Teacher, Unanswered, request_key
from .budget import Lane, Ledger
from .commits import Commits, event
from .pace import Stopped, usable_seconds
from .sending import Received, Sender
from .tally import Tally

_FIRST, _LONGEST = 0.5, 60.0  # seconds before the first retry of a request, and before any
_PATIENCE = 4  # times as many tries for a request that is turned away because there are too many
_SCOUTS = 12  # requests more, at up to a minute each, before a teacher that has answered is given up


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read, with what it took."""

    key: str
    teacher: Teacher
    question: Question
    reply: Reply
    cost_usd: float | None  # none if the price is unknown
    started_at: float  # seconds since the epoch
    seconds: float


def settle_flights(run: RunFolder) -> States:
    """Requests that an earlier process sent and never heard of again become `unknown`. Returns all states."""
    body, events = {"reason": "the process ended before the answer was read"}, []
    for key in run.journal.keys_in(State.PLANNED, State.IN_FLIGHT):
        flight = run.journal.last(key, State.IN_FLIGHT)
        events.append(event(key, State.UNKNOWN, flight.study_id if flight else "", body))
    run.journal.append(*events).result()
    return States(run.journal)


class Asker:
    """Asks for one session.

    Args:
        run: open for writing; its journal gets every event.
        options: retries, and what becomes of requests without an answer.
        decision: where data may go; every study is checked against it before its request is made.
        ledger: of the budget.
        tally: gets the counts of requests.
        states: of all requests in the journal, by key (`settle_flights`).
    """

    def __init__(
        self,
        run: RunFolder,
        options: RequestOptions,
        decision: PolicyDecision,
        ledger: Ledger,
        tally: Tally,
        states: States,
    ) -> None:
        self._run = run
        self._options = options
        self._tally = tally
        self._states = states
        self._waiting: set[str] = set()
        self._commits = Commits(run.journal)
        self._sender = Sender(self._commits, decision, ledger, tally, states)
        self._random = random.Random(options.seed)  # noqa: S311  spreads retries; no secret

    def stop(self) -> None:
        """Send nothing more; requests in flight are waited for."""
        self._sender.stopped.set()

    async def record_skipped(self, lane: Lane, question: Question, reason: str) -> None:
        """Record that a question is not asked at all."""
        key = request_key(lane.teacher, question)
        await self._end(lane, question, key, Unanswered(State.FAILED, reason, sent=False))
        self._tally.failed += 1
        self._tally.reasons[reason] += 1

    async def flush(self) -> None:
        """Wait until everything is on disk."""
        await self._commits.flush()

    def knows(self, lane: Lane, question: Question) -> bool:
        """Whether the journal holds this question already."""
        return request_key(lane.teacher, question) in self._states

    def waits(self, lane: Lane, question: Question) -> bool:
        """Whether a question without an answer will have one in a later pass or call."""
        return request_key(lane.teacher, question) in self._waiting

    def record(self, *events: Event | End) -> None:
        """Journal, together, what is no request's, such as a new verdict or a study's end; not waited for."""
        self._commits.later(*events)

    async def concluded(self, key: str) -> Event | None:
        """What was concluded of a request's answer earlier, as it was journalled; none if nothing was."""
        if self._states.get(key) is not State.JUDGED:
            return None
        self._tally.recalled += 1
        await asyncio.sleep(0)  # else a long run is read from the journal without a pause, and deaf to Ctrl-C
        return self._run.journal.last(key, State.JUDGED)

    def conclude(self, answer: Answer, body: Mapping[str, object], raw: bytes | None = None) -> None:
        """Journal what an answer is, as its asker sees it; its usage is counted from there on.

        Not waited for: the answer is on disk, and would be read again. An answer that was concluded earlier stays so.
        """
        if self._states[answer.key] is State.JUDGED:
            return
        used = {"usage": answer.reply.usage.model_dump(), "usd": answer.cost_usd}
        self._commits.later(event(answer.key, State.JUDGED, answer.question.study.id, used | dict(body), raw))
        self._states[answer.key] = State.JUDGED

    async def ask(self, lane: Lane, question: Question, key: str | None = None) -> Answer | None:
        """An answer, from the journal or from the teacher; none if there is none that can be read.

        Args:
            lane: whom to ask.
            question: what to ask.
            key: its request key, if it is known already.

        Raises:
            Stopped: nothing more is to be sent, and this would have been.
            Spent: the budget has no room for it.
            PolicyError: this study may not go to that teacher.
            TeacherError: the teacher cannot be asked at all.
        """
        key = key or request_key(lane.teacher, question)
        state = self._states.get(key)
        if state is State.JUDGED:
            await self.concluded(key)
            earlier = self._recall(key)
            assert earlier is not None  # or nothing could have been concluded
            return self._answer(lane, question, key, lane.teacher.read(earlier.raw), earlier)
        if state is State.REFUSED:
            self._tally.refused += 1
            return None
        received: Received | None = self._recall(key) if state in (State.RECEIVED, State.UNKNOWN) else None
        if state is State.UNKNOWN and received is None and not self._resends(received=False):
            self._tally.unknown += 1
            return None
        turned_away, throttled, why = 0, 0, ""
        waits = False
        while True:
            try:
                received = received or await self._sender.send(lane, question, key)
                reply = _read(lane.teacher, received.raw)
            except Unanswered as outcome:
                why = outcome.reason
                again = self._again(outcome, received=received is not None)
                gone = self._gone(lane, outcome) if again else None  # now: during a wait, the next one would be sent
                if received is not None:  # it came, and may have been paid for, but cannot be used
                    self._sender.settle_unanswered(lane, outcome, received.reserved, received=True)
                if received is None or not (state is outcome.state is State.UNKNOWN):  # else it is as before
                    await self._end(lane, question, key, outcome)
                state, waits = outcome.state, outcome.waits
                if gone is not None:
                    raise gone from None
                if not again:
                    break
                received = None
                throttled += outcome.throttled
                turned_away += not outcome.throttled
                if turned_away > self._options.retries or throttled > _PATIENCE * self._options.retries:
                    break
                await self._pause(turned_away + throttled, outcome)
            else:
                answer = self._answer(lane, question, key, reply, received)
                self._sender.settle(lane, reply, answer.cost_usd, received)
                return answer
        self._tally.unknown += state is State.UNKNOWN
        self._tally.failed += state is State.FAILED and not waits
        self._tally.waiting += waits
        if waits:
            self._waiting.add(key)
        self._tally.refused += state is State.REFUSED
        if not waits:
            self._tally.reasons[why] += 1
        return None

    def _recall(self, key: str) -> Received | None:
        """What came for the last sending of a request; none if nothing did."""
        received = self._run.journal.received(key)
        if received is None:
            return None
        return Received(received.raw or b"", received.body["started_at"], received.body["seconds"])

    def _answer(self, lane: Lane, question: Question, key: str, reply: Reply, received: Received) -> Answer:
        # a lone surrogate cannot be stored as UTF-8; the raw bytes in the journal keep what really came
        reply = replace(reply, text=reply.text.encode("utf-8", "replace").decode())
        return Answer(key, lane.teacher, question, reply, lane.cost(reply), received.started_at, received.seconds)

    async def _end(self, lane: Lane, question: Question, key: str, outcome: Unanswered) -> None:
        body: dict[str, object] = {"reason": outcome.reason}
        if not outcome.sent:
            body["sent"] = False
        if outcome.waits:
            body["waits"] = True
        if outcome.usage is not None:
            body |= {"usage": outcome.usage.model_dump(), "usd": lane.cost_of(outcome.usage)}
        await self._commits.write(event(key, outcome.state, question.study.id, body, outcome.raw))
        self._states[key] = outcome.state

    def _again(self, outcome: Unanswered, *, received: bool) -> bool:
        if outcome.state is State.UNKNOWN:
            return self._resends(received=received)
        return outcome.state is State.FAILED and outcome.retryable

    def _resends(self, *, received: bool) -> bool:
        """Whether a request that may have been paid for is sent again."""
        return self._options.resend_unknown == "yes" or (self._options.resend_unknown == "unanswered" and not received)

    def _gone(self, lane: Lane, outcome: Unanswered) -> TeacherError | None:
        """Whether a teacher is gone: so many requests in a row, each sent alone, found no answer. Then its gate closes.

        One that never answered is believed sooner; one that names a time to wait for is alive.
        """
        pace = lane.gate.pace
        patience = self._options.retries + (_SCOUTS if pace.answers else 0)
        if pace.misses <= patience or (pace.answers and outcome.retry_after):
            return None
        lane.gate.close()
        return TeacherError(
            f"teacher '{lane.teacher.name}' gave no answer to {pace.misses} requests in a row ({outcome.reason}); "
            "see to the server, then run the same command again"
        )

    async def _pause(self, tries: int, outcome: Unanswered) -> None:  # tries: from 1
        """Wait before the next try: as long as the server asked of this request (LONGEST at most), or ever longer.

        Raises:
            Stopped: the wait is over because the run is.
        """
        asked = usable_seconds(outcome.retry_after)
        if asked is not None:
            seconds = asked * self._random.uniform(1.0, 1.1)
        else:
            seconds = min(_LONGEST, _FIRST * 2.0 ** (tries - 1)) * self._random.uniform(0.5, 1.0)
        try:
            await asyncio.wait_for(self._sender.stopped.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped


def _read(teacher: Teacher, raw: bytes) -> Reply:
    """Read an answer; whatever goes wrong with that, it is on disk, and says nothing of the others.

    Raises:
        Unanswered: it says that the author declined, is an error, or cannot be read.
    """
    try:
        return teacher.read(raw)
    except Unanswered:
        raise
    except Exception as error:  # noqa: BLE001  a teacher may be anyone's; a fault in it must not end the run
        raise Unanswered(State.UNKNOWN, f"the answer came and cannot be read ({type(error).__name__})") from None
