"""Lane: one teacher with what asking it needs: a price, and a gate that it may share with others of its endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ...schemas.candidate import Usage
from ...schemas.errors import RecipeError
from ...schemas.recipe import RequestOptions
from ..teacher import Reply, Teacher
from .gate import Gate
from .limits import Pace
from .prices import Price, Prices

_FREE = Price(provider="none", model="*", since=date.min, input=0, output=0, source="runs in this process")

_DENIED = 32  # requests in a row; then it is not about them


@dataclass
class Lane:
    """One teacher."""

    teacher: Teacher
    gate: Gate
    price: Price | None  # None: nobody knows
    tokens: float = 0.0  # that an answer has used lately, for the rate limit
    answered: bool = False  # ever, in this run
    denied: int = 0  # requests in a row

    def cost(self, reply: Reply) -> float | None:
        """What an answer cost, in USD; the teacher's own word goes first."""
        return reply.cost_usd if reply.cost_usd is not None else self.cost_of(reply.usage, batch=reply.batched)

    def cost_of(self, usage: Usage, *, batch: bool = False) -> float | None:
        """What so many tokens cost."""
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
        endpoints = teacher.endpoints
        shared = (endpoints, teacher.model) if endpoints else at
        gate = gates.setdefault(
            shared,
            Gate(
                Pace(
                    options.concurrency,
                    requests_per_minute=options.rate.requests_per_minute,
                    tokens_per_minute=options.rate.tokens_per_minute,
                )
            ),
        )
        provider = str(teacher.identity().get("provider", ""))
        elsewhere = endpoints or getattr(teacher, "handed_over", False)
        price = prices.find(provider, teacher.model, today) if elsewhere else _FREE
        found.append(Lane(teacher, gate, price))
    _check(options, found)
    return found


def _check(options: RequestOptions, found: Sequence[Lane]) -> None:
    budget = options.budget
    for key, value in (("calls", budget.calls), ("tokens", budget.tokens)):
        if value == 0:
            message = "a budget of 0 allows no request; raise it, or leave it out for no bound"
            raise RecipeError(message, field=f"budget.{key}")
    if budget.usd is None:
        return
    for lane in found:
        if lane.price is None:
            raise RecipeError(
                f"nobody knows the price of model '{lane.teacher.model}', so dollars cannot be a bound; "
                "name its price in a file under prices, or bound calls or tokens",
                field="budget.usd",
            )
        if budget.usd == 0 and not lane.price.free:
            message = f"a budget of 0 allows no request to teacher '{lane.teacher.name}'; raise it, or leave it out"
            raise RecipeError(message, field="budget.usd")
