"""Budget: a hard stop in dollars, requests or tokens, over all calls on one run folder.

The most that a request can use is set aside before it is sent, and given back when the answer says what it used.
What has no answer keeps what was set aside: it may have been paid for. So a run never sends a request that could
take it past its budget, and what it cannot know it counts against itself.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from ...schemas.candidate import Usage
from ...schemas.recipe import Budget
from ..teacher import Question, Teacher
from .prices import Price

_SCHEMA = 4_000  # bytes that an answer's schema and a request's frame add, at most
_PATCH = 14  # pixels; no tokenizer in use makes more than one token of such a square
_IMAGE = 16_384  # tokens of one image, at most
OUTPUT = 16_384  # tokens of one answer, at most, where the teacher sets no bound


class Spent(Exception):
    """The budget has no room for another request."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens and dollars; dollars None where a price is unknown."""

    tokens: int = 0
    usd: float | None = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Amount(self.tokens + other.tokens, usd)

    def __sub__(self, other: "Amount") -> "Amount":
        usd = None if self.usd is None or other.usd is None else self.usd - other.usd
        return Amount(self.tokens - other.tokens, usd)


def max_cost(teacher: Teacher, question: Question, price: Price | None) -> Amount:
    """The most that one request can use: no tokenizer makes more tokens than bytes of text."""
    text = len(question.prompt.system.encode()) + len(question.prompt.user.encode()) + _SCHEMA
    images = question.study.images if teacher.sees_images else ()
    seen = sum(min(_IMAGE, -(-image.width // _PATCH) * -(-image.height // _PATCH)) for image in images)
    options = teacher.identity()
    output = int(options.get("max_output_tokens") or options.get("max_tokens") or OUTPUT)
    usage = Usage(input_tokens=text + seen, output_tokens=output)
    # the most also where a cache or a batch would make it cheaper
    return Amount(text + seen + output, None if price is None else price.cost(usage))


def actual_usage(usage: Usage, usd: float | None) -> Amount:
    """What an answer says that it used."""
    return Amount((usage.input_tokens or 0) + (usage.output_tokens or 0), usd)


class Ledger:
    """What was spent, what is set aside, and whether another request fits.

    Args:
        budget: the bounds; none means no bound.
        calls: requests that earlier calls sent.
        settled: what their answers used.
        uncertain: what those without an answer may have used.
    """

    def __init__(
        self, budget: Budget, *, calls: int = 0, settled: Amount = Amount(), uncertain: Amount = Amount()
    ) -> None:
        self._budget = budget
        self.calls = calls
        self.settled = settled
        self.uncertain = uncertain
        self._aside: list[float] = [0, 0.0]  # tokens, dollars
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._largest = Amount()  # that one request may cost

    async def reserve(self, amount: Amount) -> None:
        """Set aside; waits while others' answers may still make room.

        Raises:
            Spent: there is no room, and none can come.
        """
        if amount.tokens > self._largest.tokens:
            self._largest = amount
        while not self.fits(amount):
            if not self._held:
                raise Spent
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self.calls += 1
        self._held += 1
        self._aside[0] += amount.tokens
        self._aside[1] += amount.usd or 0.0

    def fits(self, amount: Amount) -> bool:
        """Whether another request stays within every bound, whatever becomes of those under way."""
        budget, known = self._budget, self.settled + self.uncertain
        if budget.calls is not None and self.calls + 1 > budget.calls:
            return False
        if budget.tokens is not None and known.tokens + self._aside[0] + amount.tokens > budget.tokens:
            return False
        if budget.usd is None:
            return True
        if known.usd is None or amount.usd is None:
            return False  # what costs nobody knows how much fits no bound
        return known.usd + self._aside[1] + amount.usd <= budget.usd

    def settle(self, amount: Amount | None, actual: Amount) -> None:
        """The answer said what it used; nothing, for a request that was turned away.

        Args:
            amount: what was set aside; none if an earlier process sent the request.
            actual: what was used.
        """
        if amount is not None:
            self._free(amount)
        self.settled += actual

    def mark_uncertain(self, amount: Amount | None) -> None:
        """No answer will say: what was set aside stays counted."""
        if amount is not None:
            self._free(amount)
            self.uncertain += amount

    def undo(self, amount: Amount) -> None:
        """It was not sent after all."""
        self._free(amount)
        self.calls -= 1

    def _free(self, amount: Amount) -> None:
        self._held -= 1
        self._aside[0] -= amount.tokens
        self._aside[1] -= amount.usd or 0.0
        if not self._held:
            self._aside = [0, 0.0]  # no rounding is carried along
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

    def describe(self) -> str:
        """The bounds and where they stand, for people."""
        known = self.settled + self.uncertain
        parts = []
        if self._budget.calls is not None:
            parts.append(f"{self.calls} of {self._budget.calls} calls")
        if self._budget.tokens is not None:
            parts.append(f"{known.tokens} of {self._budget.tokens} tokens" + self._one(f"{self._largest.tokens}"))
        if self._budget.usd is not None:
            spent = "an unknown sum" if known.usd is None else f"${known.usd:.4f}"
            one = "" if self._largest.usd is None else self._one(f"${self._largest.usd:.4f}")
            parts.append(f"{spent} of ${self._budget.usd:.2f}" + one)
        return ", ".join(parts) or "no budget"

    def _one(self, most: str) -> str:
        """What is held back for each request under way, so that a user sees why a budget ends before it is spent."""
        return f" (one request may cost {most})" if self._largest.tokens else ""
