"""Worked examples: which rows a page shows. All of a small dataset; of a large one a fair sample for each code.

Rows that are chosen are held, and drawn when all are there. The sample is a reservoir (Vitter 1985, R) with a fixed
seed: the same data shows the same rows.
"""

import random
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ...schemas.verdict import Outcome
from ..pages.cards import author_of, card
from ..template_trace import marked
from .items import Item

ALL = 200  # rows; a dataset of no more is shown whole
_EACH = 6  # of each code, once there are more rows
_ACCEPTED = 20


class Card(NamedTuple):
    """A row as it stands on the page."""

    row: int  # among the audited rows, from 1
    html: str
    outcome: Outcome
    codes: frozenset[str]
    author: str


class _Chosen(NamedTuple):
    """A row that is to be drawn when all are there: what is in doubt may turn out then."""

    row: int
    item: Item


class Examples:
    """Chooses rows.

    Args:
        name: of the dataset, where several stand on one page; it names them there, in place of the author.
        first: the number of the first card.
        seed: of the sample.
    """

    def __init__(self, name: str = "", first: int = 1, seed: int = 0) -> None:
        self._name, self._shift = name, first - 1
        self._random = random.Random(seed)  # noqa: S311 a sample, no secret
        self._first: list[_Chosen] = []
        self._reservoirs: dict[str, list[_Chosen]] = defaultdict(list)
        self._seen: dict[str, int] = defaultdict(int)
        self._cards: list[Card] | None = None
        self.rows = 0

    def add(self, item: Item) -> None:
        """One more row; it is kept if it is wanted."""
        self.rows += 1
        chosen = _Chosen(self.rows, item)
        if self.rows <= ALL:
            self._first.append(chosen)
        names = dict.fromkeys(finding.code for finding in item.verdict.findings) or {"": None}
        for name in names:
            place = self._place(name, _EACH if name else _ACCEPTED)
            if place is not None:
                self._reservoirs[name][place : place + 1] = [chosen]

    def _place(self, name: str, size: int) -> int | None:
        self._seen[name] += 1
        at = self._seen[name] - 1 if self._seen[name] <= size else self._random.randrange(self._seen[name])
        return at if at < size else None

    @property
    def cards(self) -> list[Card]:
        """The rows that were chosen, in their order."""
        if self._cards is None:
            kept = self._first if self.rows <= ALL else [one for some in self._reservoirs.values() for one in some]
            chosen = {one.row: one for one in kept}
            self._cards = [self._drawn(*chosen[row]) for row in sorted(chosen)]
        return self._cards

    def settle(self, templates: Collection[int]) -> None:
        """Give rows that are templates, by their number from 1, the doubt that came after them."""
        for some in (self._first, *self._reservoirs.values()):
            some[:] = [
                one._replace(item=one.item._replace(verdict=marked(one.item.verdict, True)))
                if one.row in templates
                else one
                for one in some
            ]

    def _drawn(self, row: int, item: Item) -> Card:
        number = row + self._shift
        author = self._name or author_of(item.candidate)
        drawn = card(number, item.study, [(item.candidate, item.verdict)], lambda ref: Path(ref.path), author=author)
        codes = frozenset(finding.code for finding in item.verdict.findings)
        return Card(row, drawn, item.verdict.outcome, codes, author)
