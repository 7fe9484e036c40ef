"""Shares: what one shard of a run may spend, ask for in a minute, and has to accept.

Goal, budget and rate are split up front, and not shared through a file in which shards write what they take: that would
need locks that hold on a network's file system, which many do not keep; it would make what a shard asks depend on how
fast the others are, so that the same commands would give other runs; and a shard could not go on while the file is out
of reach. The price: what one shard leaves over, another cannot use. Raise the budget and run that shard again.

Shares are exact. Whole numbers differ by one at most and add up to the whole. Dollars are split in millionths, rounded
down, so that the shares never add up to more than the whole. Requests under way (`concurrency`) are not split: they say
what a server bears, and shards may have servers of their own.
"""

import math
from fractions import Fraction

from ..data.sharding import Shard
from ..schemas.curate_recipe import CurateRecipe, Goal
from ..schemas.errors import RecipeError
from ..schemas.recipe import Budget, Rate

_CENTS = 1_000_000  # parts of a dollar


def share(whole: int, shard: Shard) -> int:
    """A shard's part of a whole number."""
    each, more = divmod(whole, shard.of)
    return each + (shard.number <= more)


def recipe_of_shard(recipe: CurateRecipe, shard: Shard) -> CurateRecipe:
    """The recipe of one shard of a run.

    Raises:
        RecipeError: the recipe is of another shard, or there is less of something than there are shards.
    """
    if recipe.shard is not None:
        if Shard.parse(recipe.shard) != shard:
            raise RecipeError(f"is the recipe of shard {recipe.shard}; take the recipe of the whole", field="shard")
        return recipe
    goal, budget, rate = recipe.goal, recipe.budget, recipe.rate
    for field, most in (
        ("goal.accepted", goal.accepted),
        ("budget.calls", budget.calls),
        ("budget.tokens", budget.tokens),
    ):
        if most is not None and most < shard.of:
            raise RecipeError(f"{most} cannot be split over {shard.of} shards; take fewer", field=field)
    return recipe.model_copy(
        update={
            "shard": f"{shard.number}/{shard.of}",
            "goal": Goal(
                accepted=None if goal.accepted is None else share(goal.accepted, shard),
                pilot=goal.pilot and max(1, share(goal.pilot, shard)),  # each shard forecasts for itself
            ),
            "budget": Budget(
                usd=None if budget.usd is None else _dollars(budget.usd, shard),
                calls=None if budget.calls is None else share(budget.calls, shard),
                tokens=None if budget.tokens is None else share(budget.tokens, shard),
            ),
            "rate": Rate(
                requests_per_minute=rate.requests_per_minute and rate.requests_per_minute / shard.of,
                tokens_per_minute=rate.tokens_per_minute and rate.tokens_per_minute / shard.of,
            ),
        }
    )


def _dollars(usd: float, shard: Shard) -> float:
    return share(math.floor(Fraction(str(usd)) * _CENTS), shard) / _CENTS
