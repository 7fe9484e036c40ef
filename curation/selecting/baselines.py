"""Baselines of the same size, to compare a selection with in an ablation: random, hard-random, domain.

All are drawn by hashes of the seed and a row's id, so they are the same for the same pool in any order.

    random        of the pool after the gates
    hard-random   of what quality and difficulty left
    domain        of the pool: a domain (a finding, or normal) evenly, then a row of it (as m1 and s1 draw)
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from .pool import PoolExample


def drawn(rows: Sequence[PoolExample], n: int, seed: int) -> list[PoolExample]:
    """n rows, each as likely as any other."""
    return sorted(rows, key=lambda row: _draw(seed, row.id))[:n]


def by_domain(rows: Sequence[PoolExample], n: int, seed: int) -> list[PoolExample]:
    """n rows, domain after domain in turn; a row counts for the rarest of its findings that has a turn."""
    domains: defaultdict[str, list[PoolExample]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: _draw(seed, row.id), reverse=True):
        for name in row.findings or ("",):
            domains[name].append(row)
    chosen: dict[str, PoolExample] = {}
    while len(chosen) < min(n, len(rows)):
        for name in sorted(domains, key=lambda name: _draw(seed, name)):
            queue = domains[name]
            while queue and queue[-1].id in chosen:
                queue.pop()
            if queue and len(chosen) < n:
                row = queue.pop()
                chosen[row.id] = row
    return list(chosen.values())


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()
