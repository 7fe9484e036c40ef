"""Sending: one request goes out once, if its budget, its endpoint's gate and the policy let it.

A request is sent only when the most that it can use is reserved, its gate is open and its departure is on disk. Its
answer is on disk before anything looks at it. What came of it is settled here; whether it is asked again is for
asker.py to say.
"""

import asyncio
import time
from dataclasses import dataclass

from ...data.states import States
from ...schemas.errors import InputError, TeacherError, TenstepError
from ...schemas.policy import PolicyDecision
from ...schemas.run import State
from ..clients.envelope import unseal
from ..teacher import Denied, Question, Reply, Unanswered
from .budget import Amount, Lane, Ledger, actual_usage, max_cost
from .commits import Commits, departure, event
from .pace import Outcome, Stopped, Ticket
from .policy import check_study
from .tally import Tally

_HEAD = 4_096  # bytes of an answer in which its headers stand


@dataclass(slots=True)
class Received:
    """What has come for a request, unread."""

    raw: bytes
    started_at: float  # seconds since the epoch
    seconds: float
    reserved: Amount | None = None  # none if an earlier process sent the request
    ticket: Ticket | None = None


class Sender:
    """Sends the requests of one session.

    Args:
        commits: to the journal.
        decision: where data may go; every study is checked against it before its request is made.
        ledger: of the budget.
        tally: gets the counts of requests.
        states: of all requests in the journal, by key; kept up to date here and by the asker.
    """

    def __init__(
        self, commits: Commits, decision: PolicyDecision, ledger: Ledger, tally: Tally, states: States
    ) -> None:
        self._commits = commits
        self._decision = decision
        self._ledger = ledger
        self._tally = tally
        self._states = states
        self.stopped = asyncio.Event()  # once set, nothing more is sent

    async def send(self, lane: Lane, question: Question, key: str) -> Received:
        """Send a request once; its answer, which is on disk.

        Raises:
            Unanswered: there is no answer; its budget is settled.
            Stopped: nothing more is to be sent.
            Spent: the budget has no room for it.
            PolicyError: this study may not go to that teacher.
            TeacherError: the teacher cannot be asked at all.
        """
        check_study(self._decision, lane.teacher, question.study)
        if self.stopped.is_set():
            raise Stopped
        reserved = max_cost(lane.teacher, question, lane.price)
        await self._ledger.reserve(reserved)
        try:
            ticket = await self._depart(lane, question, key, reserved)
        except BaseException:
            self._ledger.undo(reserved)
            raise
        outcome: Outcome = "lost"
        retry_after: float | None = None
        self._tally.asked += 1
        started, clock = time.time(), time.monotonic()
        try:
            raw = await lane.teacher.ask(question)
            outcome = "answered"
            lane.answered, lane.denied = True, 0
            _pause_if_used_up(lane, raw)
        except Unanswered as unanswered:
            outcome, retry_after = _outcome(unanswered), unanswered.retry_after
            self.settle_unanswered(lane, unanswered, reserved)
            self._tally.asked -= unanswered.waits
            raise
        except TenstepError as error:
            # nothing can have been paid: the request was not made, or was turned away for a reason that stays
            outcome = "answered"
            if isinstance(error, Denied) and lane.concerns_one_request():
                self.settle_unanswered(lane, error.alone, reserved)
                raise error.alone from None
            if isinstance(error, InputError):
                self._ledger.undo(reserved)
                raise Unanswered(State.FAILED, error.message, sent=False) from None
            lane.gate.close()  # before this one leaves it, and the next one goes the same way
            self._ledger.settle(reserved, Amount())
            sent = {} if isinstance(error, TeacherError) else {"sent": False}
            await self._commits.write(event(key, State.FAILED, question.study.id, {"reason": error.message, **sent}))
            if isinstance(error, Denied):
                why = f"{lane.denied} requests in a row were" if lane.answered else "the first requests of the run were"
                raise TeacherError(f"{error.message}; {why} turned away, so the run ends here") from None
            raise
        except BaseException:
            self._ledger.mark_uncertain(reserved)
            raise
        finally:
            lane.gate.finish(ticket, outcome, retry_after)
        seconds = time.monotonic() - clock
        body = {"started_at": started, "seconds": seconds}
        await self._commits.write(event(key, State.RECEIVED, question.study.id, body, raw))
        self._states[key] = State.RECEIVED
        return Received(raw, started, seconds, reserved, ticket)

    async def _depart(self, lane: Lane, question: Question, key: str, reserved: Amount) -> Ticket:
        """Put the departure on disk, and wait at the gate.

        Raises:
            Stopped: nothing more is to be sent.
        """
        await lane.gate.acquire()
        study = question.study.id
        try:
            first = key not in self._states
            await self._commits.write(departure(key, lane.teacher, question, reserved, first=first))
            self._states[key] = State.IN_FLIGHT
            try:
                return await lane.gate.start(lane.tokens or reserved.tokens / 4)
            except BaseException:
                self._commits.later(event(key, State.FAILED, study, {"reason": "it was not sent", "sent": False}))
                self._states[key] = State.FAILED
                raise
        except BaseException:
            lane.gate.release()
            raise

    def settle(self, lane: Lane, reply: Reply, cost_usd: float | None, received: Received) -> None:
        """Count what an answer that was read has used."""
        used = actual_usage(reply.usage, cost_usd)
        self._ledger.settle(received.reserved, used)
        lane.learn(reply.usage)
        if received.ticket is not None and lane.tokens:
            lane.gate.pace.settle(received.ticket.tokens, used.tokens)

    def settle_unanswered(
        self, lane: Lane, outcome: Unanswered, reserved: Amount | None, *, received: bool = False
    ) -> None:
        """Count what a request without an answer that can be read has used, or may have used."""
        if outcome.usage is not None:
            self._ledger.settle(reserved, actual_usage(outcome.usage, lane.cost_of(outcome.usage)))
        elif outcome.state is State.UNKNOWN or (received and outcome.state is State.REFUSED):
            self._ledger.mark_uncertain(reserved)
        elif not outcome.sent and reserved is not None:
            self._ledger.undo(reserved)
        else:
            self._ledger.settle(reserved, Amount())


def _pause_if_used_up(lane: Lane, raw: bytes) -> None:
    """Send nothing while the provider says that nothing is left."""
    if lane.teacher.endpoints and b"ratelimit-" in raw[:_HEAD]:
        seconds = unseal(raw).exhausted_for(time.time())
        if seconds:
            lane.gate.pace.pause(asyncio.get_running_loop().time(), seconds)


def _outcome(unanswered: Unanswered) -> Outcome:
    """What a request without an answer says of its endpoint."""
    if unanswered.throttled or unanswered.retry_after is not None:
        return "throttled"
    if unanswered.state is State.REFUSED or (unanswered.state is State.FAILED and not unanswered.retryable):
        return "answered"
    return "lost"
