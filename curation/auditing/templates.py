"""Templates: how often steps of different studies are the same sentence, at each place of the ten.

Two sentences are the same if their words are, whatever their numbers. Every sentence is counted by a hash of eight
bytes; of the sentences themselves only the frequent are held (Misra and Gries 1982: whatever makes up one in 64 at its
place is among them), so memory does not grow with the texts.
"""

import hashlib
import re
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_HELD = 64
_DIGITS = re.compile(r"\d+")


def sentence_key(tokens: Sequence[str]) -> int:
    """The same eight bytes for sentences whose words are the same, whatever their numbers."""
    same = _DIGITS.sub("0", " ".join(tokens))
    return int.from_bytes(hashlib.blake2b(same.encode("utf-8", "replace"), digest_size=8).digest(), "little")


class Template(NamedTuple):
    """A sentence that stands in many traces."""

    step: int
    text: str
    traces: int


class Place(NamedTuple):
    """One of the ten places."""

    step: int
    traces: int
    distinct: int
    repeated: int  # traces whose sentence stands in another trace as well
    frequent: tuple[Template, ...]


class RepeatedSentences:
    """Counts the sentences at one place."""

    def __init__(self, step: int) -> None:
        self.step = step
        self._hashes = array("Q")
        self._held: dict[int, list[int | str]] = {}  # hash: count as Misra and Gries keep it, text

    def add(self, key: int, text: str) -> None:
        """One more sentence, by its key, with its beginning."""
        self._hashes.append(key)
        held = self._held.get(key)
        if held is not None:
            held[0] = int(held[0]) + 1
        elif len(self._held) < _HELD:
            self._held[key] = [1, text]
        else:
            self._held = {k: [int(n) - 1, t] for k, (n, t) in self._held.items() if int(n) > 1}

    @property
    def place(self) -> Place:
        """What was counted."""
        keys, counts = np.unique(np.frombuffer(self._hashes, np.uint64), return_counts=True)
        at = {int(key): int(count) for key, count in zip(keys, counts, strict=True) if int(key) in self._held}
        frequent = [Template(self.step, str(self._held[key][1]), count) for key, count in at.items() if count > 1]
        frequent.sort(key=lambda template: (-template.traces, template.text))
        repeated = int(counts[counts > 1].sum()) if len(counts) else 0
        return Place(self.step, len(self._hashes), len(keys), repeated, tuple(frequent[:3]))
