"""Queues: which candidates a reader is shown, and in which order.

    work              doubts, then a sample of what was accepted, then one of what was rejected
    doubts            every doubt that no later attempt has repaired
    accepted:SHARE    a random share of what the rules accepted; rejected:SHARE likewise. They measure the gate
    code:CODE         what a code was found in;  author:NAME  what one author wrote
    finding:NAME      whose reference asserts a radiological finding, or leaves it open: finding:effusion
    loss              what a student knows least, the highest loss first (tenstep attribute)
    disputed          what readers differ on
    all               everything

Samples are drawn by a hash of seed and key, so they are the same tomorrow, on another machine, and after the run has
grown. The spec with its seed (`accepted:0.1@7`) is written into every reading. With several readers each item is read
by one of them, except for a share that everybody reads (the overlap), from which agreement is measured.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from ...data.readings import Final
from ...data.statistics import read_share
from ...schemas.attribution import Attributed
from ...schemas.errors import InputError
from .index import IndexedTrace, TraceIndex

DEFAULT_SHARE = 0.1
_SCALE = float(2**64)


class Sampling(NamedTuple):
    """How samples are drawn."""

    seed: int = 0
    share: float = DEFAULT_SHARE  # of accepted and of rejected candidates in `work`
    overlap: float = 0.2  # share of items that every reader reads


def position(seed: int, purpose: str, key: str) -> float:
    """A number in [0, 1) that looks random and depends on nothing but its arguments."""
    digest = hashlib.sha256(f"{seed}|{purpose}|{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _SCALE


def sampled(entries: Iterable[IndexedTrace], outcome: str, share: float, seed: int) -> list[IndexedTrace]:
    """A share of the entries with one outcome, in random order."""
    drawn = [(position(seed, outcome, entry.key), entry) for entry in entries if entry.outcome == outcome]
    return [entry for place, entry in sorted(drawn, key=lambda one: one[0]) if place < share]


def queue(
    spec: str,
    index: TraceIndex,
    sampling: Sampling,
    finals: Mapping[str, Final],
    attribution: Mapping[str, Attributed] = {},
) -> list[IndexedTrace]:
    """The entries of a queue, in reading order.

    Args:
        spec: its name, as above.
        index: what there is to read.
        sampling: how samples are drawn.
        finals: what readers have decided, by candidate.
        attribution: how well a student knows each candidate.

    Raises:
        InputError: there is no such queue, or nothing that it could hold.
    """
    entries = list(index.entries.values())
    name, _, value = spec.partition(":")
    match name:
        case "work":
            return [
                *queue("doubts", index, sampling, finals),
                *sampled(entries, "accept", sampling.share, sampling.seed),
                *sampled(entries, "reject", sampling.share, sampling.seed),
            ]
        case "doubts":
            return [entry for entry in entries if entry.outcome == "doubt" and entry.key not in index.repaired]
        case "accepted" | "rejected":
            return sampled(entries, name.removesuffix("ed"), read_share(value or str(sampling.share)), sampling.seed)
        case "code" if value:
            return [entry for entry in entries if value in entry.codes]
        case "author" if value:
            return [entry for entry in entries if entry.author == value]
        case "finding" if value:
            having = index.studies_with(value)
            return [entry for entry in entries if entry.study_id in having]
        case "loss":
            if not attribution:
                raise InputError("no losses are known; measure them with: tenstep attribute RUN STUDENT")
            known = [entry for entry in entries if entry.key in attribution]
            return sorted(known, key=lambda entry: attribution[entry.key].rank)
        case "disputed":
            return [index.entries[key] for key, found in finals.items() if found.provenance == "disputed"]
        case "all":
            return entries
    raise InputError(
        f"there is no queue '{spec}'; work, doubts, accepted:0.1, rejected:0.1, disputed, code:NAME, author:NAME, "
        "finding:NAME, loss, all"
    )


def written(spec: str, sampling: Sampling) -> str:
    """The queue with all that decides what is in it, for the record."""
    return f"{spec}:{sampling.share:g}@{sampling.seed}" if spec == "work" else f"{spec}@{sampling.seed}"


def open_for(
    reader: str, entries: Iterable[IndexedTrace], readers: Mapping[str, Collection[str]], sampling: Sampling
) -> Iterator[IndexedTrace]:
    """Those that this reader still has to read.

    Args:
        reader: the reader's name.
        entries: of the queue.
        readers: who has read each key.
        sampling: says which items everybody reads.
    """
    for entry in entries:
        have = readers.get(entry.key, ())
        if reader not in have and (not have or in_overlap(entry.key, sampling)):
            yield entry


def in_overlap(key: str, sampling: Sampling) -> bool:
    """Whether every reader reads this one."""
    return position(sampling.seed, "overlap", key) < sampling.overlap
