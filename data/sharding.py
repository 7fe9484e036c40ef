"""Shards: which studies a run works on, so that several machines can each take some of a store.

A study belongs to a shard by a hash of its patient: all studies of a patient are together, every process that knows the
number of shards decides alike without asking another, and a study stays where it is when rows are added to the store.
Shards are of about the same size, and not of exactly the same.
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import NamedTuple, Self

from ..schemas.study import Study
from .store.studies import StudyStore


class Shard(NamedTuple):
    """One of several."""

    number: int  # from 1
    of: int

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """What a recipe's `shard` says: `2/3`; none for the whole."""
        number, _, of = (text or "").partition("/")
        return cls(int(number), int(of)) if text else None

    def holds(self, patient: str) -> bool:
        """Whether a patient's studies belong to it."""
        return int.from_bytes(sha256(patient.encode()).digest()[:8]) % self.of == self.number - 1


def chosen(
    store: StudyStore, limit: int | None, shard: Shard | None, but: bytes | None = None
) -> Iterator[tuple[int, Study]]:
    """The studies that a run works on, each with its place in the store; the limit counts before the shard.

    With `but`: without those whose place is not 0 there.
    """
    for place, study in store.placed(but):
        if limit is not None and place >= limit:
            return
        if shard is None or shard.holds(study.patient_id):
            yield place, study


def count(store: StudyStore, limit: int | None, shard: Shard | None) -> int:
    """How many those are, without reading them."""
    if shard is None:
        return min(len(store), limit or len(store))
    return sum(shard.holds(patient) for _, patient in islice(store.patients(), limit))
