"""Caps and minimums by group: `finding:pneumothorax`, `view:lateral`, `source:open-i`, `normality:normal`.

A group may be a whole kind (`finding:*`), which holds for each of its groups on its own; a single one counts before it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...schemas.errors import InputError
from .pool import PoolExample

KINDS = ("finding", "view", "source", "normality")
_NUMBER = re.compile(r"[0-9]{1,9}")
Group = Annotated[str, Field(pattern=rf"^({'|'.join(KINDS)}):.+$")]
Count = Annotated[int, Field(ge=0, lt=10**9)]
NO_CAP = np.iinfo(np.int64).max


def parsed(words: Sequence[str]) -> dict[str, int]:
    """`finding:*=3` as {'finding:*': 3}.

    Raises:
        InputError: one is not of that form, or names the group of another one.
    """
    found: dict[str, int] = {}
    for word in words:
        group, _, number = word.rpartition("=")
        kind, _, name = group.partition(":")
        if kind not in KINDS or not name or not _NUMBER.fullmatch(number):
            raise InputError(
                f"'{word[:80]}' is no quota; wanted: KIND:NAME=N, KIND one of {', '.join(KINDS)}, NAME may be *"
            )
        if group in found:
            raise InputError(f"{group} gets two quotas; give one")
        found[group] = int(number)
    return found


class Quotas:
    """What is demanded of each group of a pool, and how far it is met."""

    def __init__(self, rows: Sequence[PoolExample], minimums: Mapping[str, int], maximums: Mapping[str, int]) -> None:
        self.pool = Counter(group for row in rows for group in row.groups)
        self.names = tuple(sorted(self.pool))
        at = {name: number for number, name in enumerate(self.names)}
        self._of = [[at[group] for group in row.groups] for row in rows]
        self.wanted = {name: _number(name, minimums, 0) for name in self.names}
        self.capped = {name: _number(name, maximums, int(NO_CAP)) for name in self.names}
        self.missing = {g: n for g, n in minimums.items() if not g.endswith(":*") and g not in at and n}
        self._low = np.array([self.wanted[name] for name in self.names], dtype=np.int64)
        self._high = np.array([self.capped[name] for name in self.names], dtype=np.int64)
        self._counts = np.zeros(len(self.names), dtype=np.int64)
        self._member = np.zeros((len(rows), len(self.names)), dtype=bool)
        for number, groups in enumerate(self._of):
            self._member[number, groups] = True

    def needed(self, row: PoolExample) -> bool:
        """Whether a group of the row has no more rows than its minimum."""
        return any(0 < self.pool[group] <= self.wanted.get(group, 0) for group in row.groups)

    def take(self, number: int) -> tuple[str, ...]:
        """One more row is chosen; gives the groups whose minimum it serves."""
        served = tuple(
            f"{self.names[at]} ({self._counts[at] + 1} of {self._low[at]})"
            for at in self._of[number]
            if self._counts[at] < self._low[at]
        )
        self._counts[self._of[number]] += 1
        return served

    def allowed(self) -> NDArray[np.bool_]:
        """Rows whose groups all have room."""
        return np.asarray(~self._member[:, self._counts >= self._high].any(axis=1))

    def served(self) -> NDArray[np.bool_]:
        """Rows that serve a minimum which is not met yet."""
        return np.asarray(self._member[:, self._counts < self._low].any(axis=1))

    def counts(self) -> dict[str, int]:
        """Chosen rows by group."""
        return {name: int(n) for name, n in zip(self.names, self._counts, strict=True)}

    def short(self) -> dict[str, int]:
        """Minimums that are not met, by how much."""
        low = {n: int(a - b) for n, a, b in zip(self.names, self._low, self._counts, strict=True) if a > b}
        return low | self.missing


def _number(name: str, given: Mapping[str, int], default: int) -> int:
    kind, _, _ = name.partition(":")
    return given.get(name, given.get(f"{kind}:*", default))
