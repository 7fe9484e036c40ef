"""Worked examples: which rows a page shows. All of a small dataset; of a large one a fair sample for each code.

Cards are drawn as rows pass, so that no text is held that is not shown. The sample is a reservoir (Vitter 1985, R)
with a fixed seed: the same data shows the same rows.
"""

import random
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from ...schemas.verdict import Outcome
from ..pages.cards import author_of, card
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


class Examples:
    """Chooses rows.

    Args:
        name: of the dataset, where several stand on one page; they are told apart by it, and not by author.
        first: the number of the first card.
        seed: of the sample.
    """

    def __init__(self, name: str = "", first: int = 1, seed: int = 0) -> None:
        self._name, self._shift = name, first - 1
        self._random = random.Random(seed)  # noqa: S311 a sample, no secret
        self._first: list[Card] = []
        self._reservoirs: dict[str, list[Card]] = defaultdict(list)
        self._seen: dict[str, int] = defaultdict(int)
        self.rows = 0

    def add(self, item: Item) -> None:
        """One more row; it is drawn if it is wanted."""
        self.rows += 1
        drawn: Card | None = None
        if self.rows <= ALL:
            drawn = self._drawn(item)
            self._first.append(drawn)
        names = dict.fromkeys(finding.code for finding in item.verdict.findings) or {"": None}
        for name in names:
            place = self._place(name, _EACH if name else _ACCEPTED)
            if place is not None:
                drawn = drawn or self._drawn(item)
                self._reservoirs[name][place : place + 1] = [drawn]

    def _place(self, name: str, size: int) -> int | None:
        self._seen[name] += 1
        at = self._seen[name] - 1 if self._seen[name] <= size else self._random.randrange(self._seen[name])
        return at if at < size else None

    @property
    def cards(self) -> list[Card]:
        """The rows that were chosen, in their order."""
        if self.rows <= ALL:
            return self._first
        chosen = {card.row: card for cards in self._reservoirs.values() for card in cards}
        return [chosen[row] for row in sorted(chosen)]

    def _drawn(self, item: Item) -> Card:
        number = self.rows + self._shift
        author = self._name or author_of(item.candidate)
        drawn = card(number, item.study, [(item.candidate, item.verdict)], lambda ref: Path(ref.path), author=author)
        codes = frozenset(finding.code for finding in item.verdict.findings)
        return Card(self.rows, drawn, item.verdict.outcome, codes, author)
