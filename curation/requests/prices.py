"""Prices: a dated table in a file, and what a request costs by it. A price that nobody knows is None, never 0.

It knows tokens and dollars. It does not know requests, nor when to stop.
"""

import re
from collections.abc import Sequence
from datetime import date
from importlib import resources
from pathlib import Path

import yaml
from pydantic import Field

from ...data.recipes import read_recipe
from ...schemas.base import Noun
from ...schemas.candidate import Usage

_SNAPSHOT = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_MILLION = 1_000_000


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
        dollars = (fresh + cached * cached_price + usage.output_tokens * self.output) / _MILLION
        return dollars * (self.batch if batch else 1.0)

    @property
    def free(self) -> bool:
        """Whether nothing is charged for it."""
        return self.input == self.output == 0


class PriceFile(Noun):
    """A price table as it lies on disk."""

    version: int = Field(1, ge=1, le=1)
    prices: tuple[Price, ...]


class Prices:
    """The shipped table, with a user's before it."""

    def __init__(self, prices: Sequence[Price]) -> None:
        self._prices = prices

    @classmethod
    def read(cls, extra: str | None = None) -> "Prices":
        """Read the shipped table and, if given, a user's.

        Raises:
            RecipeError: the user's file cannot be read; names the entry.
        """
        shipped = yaml.safe_load(resources.files(__package__ or "").joinpath("prices.yaml").read_text("utf-8"))
        own = read_recipe(Path(extra), PriceFile).prices if extra else ()
        return cls((*own, *PriceFile.model_validate(shipped).prices))

    def find(self, provider: str, model: str, day: date) -> Price | None:
        """The price of a model on a day; by its full name first, then without a snapshot's date, then any model's."""
        for name in (model, _SNAPSHOT.sub("", model), "*"):
            known = [p for p in self._prices if p.provider == provider and p.model == name and p.since <= day]
            if known:
                return max(known, key=lambda price: price.since)  # of two for one day, the user's stands first
        return None
