"""Budget: a hard stop in dollars, requests or tokens, over all calls on one run folder; and what requests cost.

    Price, Prices   dollars per million tokens, from a dated table in a file; an unknown price is None, never 0
    Lane            one teacher with what asking it needs: its price, and the gate of its endpoint
    Ledger          what was spent, what is reserved, and whether another request fits

The most that a request can use is reserved before it is sent, and freed when its answer says what it used. The
reservation of a request without an answer stays counted: it may have been paid for. So a run never sends a request
that could take it past its budget, and what it cannot know it counts against itself.
"""

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path

import yaml
from pydantic import Field

from ...data.recipes import read_recipe
from ...schemas.base import Noun
from ...schemas.candidate import Usage
from ...schemas.errors import RecipeError
from ...schemas.recipe import Budget, RequestOptions
from ..teacher import Question, Reply, Teacher
from .pace import Gate, Pace

_SNAPSHOT = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_SCHEMA = 4_000  # bytes that an answer's schema and a request's frame add, at most
_PATCH = 14  # pixels; no tokenizer in use makes more than one token of such a square
_IMAGE = 16_384  # tokens of one image, at most
OUTPUT = 16_384  # tokens of one answer, at most, where the teacher sets no bound
_DENIED = 32  # requests in a row; then the reason is not in the requests


class Price(Noun):
    """What one model costs from a day on, in USD per million tokens."""

    provider: str
    model: str = Field(description="Without the date of its snapshot; '*' is any.")
    since: date
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False, description="Reasoning tokens count as output.")
    cached_input: float | None = Field(None, ge=0, allow_inf_nan=False, description="The input price if not given.")
    batch: float = Field(0.5, ge=0, le=1, description="A batch request's share of the price.")
    source: str = Field(min_length=1, description="Where it was read.")

    def cost(self, usage: Usage, *, batch: bool = False) -> float | None:
        """Dollars for one answer; None where the provider did not count its tokens.

        `usage.input_tokens` includes those that were read from a cache, `usage.output_tokens` the reasoning.
        """
        if usage.input_tokens is None or usage.output_tokens is None:
            return 0.0 if self.free else None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        fresh = (usage.input_tokens - cached) * self.input
        dollars = (fresh + cached * cached_price + usage.output_tokens * self.output) / 1_000_000
        return dollars * (self.batch if batch else 1.0)

    @property
    def free(self) -> bool:
        """Whether nothing is charged for it."""
        return self.input == self.output == 0


_IN_PROCESS = Price(provider="none", model="*", since=date.min, input=0, output=0, source="runs in this process")


class Prices(Noun):
    """A price table as it lies on disk; `read` puts a user's before the shipped one."""

    version: int = Field(1, ge=1, le=1)
    prices: tuple[Price, ...]

    @classmethod
    def read(cls, extra: str | None = None) -> "Prices":
        """Read the shipped table and, if given, a user's.

        Raises:
            RecipeError: the user's file cannot be read; names the entry.
        """
        shipped = yaml.safe_load(resources.files(__package__ or "").joinpath("prices.yaml").read_text("utf-8"))
        own = read_recipe(Path(extra), cls).prices if extra else ()
        return cls(prices=(*own, *cls.model_validate(shipped).prices))

    def find(self, provider: str, model: str, day: date) -> Price | None:
        """The price of a model on a day; by its full name first, then without a snapshot's date, then any model's."""
        for name in (model, _SNAPSHOT.sub("", model), "*"):
            known = [p for p in self.prices if p.provider == provider and p.model == name and p.since <= day]
            if known:
                return max(known, key=lambda price: price.since)  # of two for one day, the user's stands first
        return None


@dataclass
class Lane:
    """One teacher, its price, and the gate that it may share with others of its endpoint."""

    teacher: Teacher
    gate: Gate
    price: Price | None  # None: unknown
    tokens: float = 0.0  # that an answer has used lately, for the rate limit
    answered: bool = False  # ever, in this run
    denied: int = 0  # requests in a row

    def cost(self, reply: Reply) -> float | None:
        """What an answer cost, in USD; where the teacher says it, that counts."""
        return reply.cost_usd if reply.cost_usd is not None else self.cost_of(reply.usage, batch=reply.batched)

    def cost_of(self, usage: Usage, *, batch: bool = False) -> float | None:
        """What so many tokens cost, in USD."""
        return None if self.price is None else self.price.cost(usage, batch=batch)

    def concerns_one_request(self) -> bool:
        """Whether one more request that was denied says nothing of the others: some were answered, not long ago."""
        self.denied += 1
        return self.answered and self.denied < _DENIED

    def learn(self, usage: Usage) -> None:
        """Remember how many tokens an answer takes."""
        total = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self.tokens = total if not self.tokens else 0.9 * self.tokens + 0.1 * total


def lanes(options: RequestOptions, teachers: Sequence[Teacher]) -> list[Lane]:
    """One lane for each teacher, in the recipe's order; teachers of one endpoint and model share a gate.

    Raises:
        RecipeError: the price file cannot be read; or the budget allows nothing, or is in dollars and a price unknown.
    """
    prices, today = Prices.read(options.prices), datetime.now(UTC).date()
    gates: dict[object, Gate] = {}
    found = []
    for at, teacher in enumerate(teachers):
        endpoints, provider = teacher.endpoints, str(teacher.identity().get("provider", ""))
        new = Gate(Pace(options.concurrency, **options.rate.model_dump()))
        gate = gates.setdefault((endpoints, teacher.model) if endpoints else at, new)
        outside = endpoints or getattr(teacher, "handed_over", False)
        found.append(Lane(teacher, gate, prices.find(provider, teacher.model, today) if outside else _IN_PROCESS))
    _check(options.budget, found)
    return found


def _check(budget: Budget, found: Sequence[Lane]) -> None:
    if zero := [key for key in ("calls", "tokens") if getattr(budget, key) == 0]:
        message = "a budget of 0 allows no request; raise it, or leave it out for no bound"
        raise RecipeError(message, field=f"budget.{zero[0]}")
    for lane in found if budget.usd is not None else ():
        if lane.price is None:
            message = (
                f"the price of model '{lane.teacher.model}' is unknown, so dollars cannot be a bound; "
                "name its price in a file under prices, or bound calls or tokens"
            )
            raise RecipeError(message, field="budget.usd")
        if budget.usd == 0 and not lane.price.free:
            message = f"a budget of 0 allows no request to teacher '{lane.teacher.name}'; raise it, or leave it out"
            raise RecipeError(message, field="budget.usd")


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
    text = len((question.prompt.system + question.prompt.user).encode()) + _SCHEMA
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
    """See the module.

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
        self._tokens, self._usd, self._open = 0, 0.0, 0  # reserved, and by how many requests
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._largest = Amount()  # that one request may cost

    async def reserve(self, amount: Amount) -> None:
        """Reserve the most that a request can use; waits while the answers of others may still make room.

        Raises:
            Spent: there is no room, and none can come.
        """
        if amount.tokens > self._largest.tokens:
            self._largest = amount
        while not self.fits(amount):
            if not self._open:
                raise Spent
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self.calls += 1
        self._open += 1
        self._tokens += amount.tokens
        self._usd += amount.usd or 0.0

    def fits(self, amount: Amount) -> bool:
        """Whether another request stays within every bound, whatever becomes of those in flight."""
        budget, known = self._budget, self.settled + self.uncertain
        if budget.calls is not None and self.calls + 1 > budget.calls:
            return False
        if budget.tokens is not None and known.tokens + self._tokens + amount.tokens > budget.tokens:
            return False
        if budget.usd is None:
            return True
        if known.usd is None or amount.usd is None:
            return False  # an unknown cost fits no bound
        return known.usd + self._usd + amount.usd <= budget.usd

    def settle(self, reserved: Amount | None, actual: Amount) -> None:
        """Count what an answer says that it used; nothing, for a request that was turned away.

        Args:
            reserved: for it; none if an earlier process sent the request.
            actual: what was used.
        """
        if reserved is not None:
            self._free(reserved)
        self.settled += actual

    def mark_uncertain(self, reserved: Amount | None) -> None:
        """No answer will say what was used: what was reserved stays counted."""
        if reserved is not None:
            self._free(reserved)
            self.uncertain += reserved

    def undo(self, reserved: Amount) -> None:
        """It was not sent after all."""
        self._free(reserved)
        self.calls -= 1

    def _free(self, amount: Amount) -> None:
        self._open -= 1
        self._tokens -= amount.tokens
        self._usd = self._usd - (amount.usd or 0.0) if self._open else 0.0  # no rounding is carried along
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

    def describe(self) -> str:
        """The bounds and where they stand, for people."""
        budget, known, largest, parts = self._budget, self.settled + self.uncertain, self._largest, list[str]()
        if budget.calls is not None:
            parts.append(f"{self.calls} of {budget.calls} calls")
        # the most of one request is reserved, so that a budget ends before it is spent: users are to see why
        if budget.tokens is not None:
            one = f" (one request may cost {largest.tokens})" if largest.tokens else ""
            parts.append(f"{known.tokens} of {budget.tokens} tokens{one}")
        if budget.usd is not None:
            spent = "an unknown sum" if known.usd is None else f"${known.usd:.4f}"
            one = f" (one request may cost ${largest.usd:.4f})" if largest.tokens and largest.usd is not None else ""
            parts.append(f"{spent} of ${budget.usd:.2f}{one}")
        return ", ".join(parts) or "no budget"
