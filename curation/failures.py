"""Failures of a run by reason: requests that ended without an answer, and candidates that were not accepted."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from ..data.run import RunFolder
from ..schemas.base import Noun
from ..schemas.run import State

_ENDS = (State.FAILED, State.REFUSED, State.UNKNOWN)
_NUMBER = re.compile(r"\b(?![45]\d\d\b)\d+(?:\.\d+)?")  # a status such as 429 stays
_KEPT = 3  # study ids as examples


class Reason(Noun):
    """One reason, and how often."""

    kind: str  # failed, refused, unknown, reject, doubt
    reason: str
    count: int
    studies: tuple[str, ...]  # some of them


def failures(path: Path) -> tuple[Reason, ...]:
    """Every reason why a study has no accepted trace from a request, the most frequent of a kind first.

    Numbers are taken out of reasons, so that `retry after 12 s` and `retry after 30 s` are one.
    """
    counts: Counter[tuple[str, str]] = Counter()
    some: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def add(kind: str, reason: str, study: str) -> None:
        counts[kind, reason] += 1
        if len(some[kind, reason]) < _KEPT and study not in some[kind, reason]:
            some[kind, reason].append(study)

    with RunFolder.read(path) as run:
        last = run.journal.states()
        for state in _ENDS:
            for event in run.journal.latest(state):
                if last.get(event.key) is state:
                    said = event.body.get("reason") or event.body.get("error") or "no reason was recorded"
                    add(str(state), _NUMBER.sub("N", " ".join(str(said).split())), event.study_id)
        for candidate, verdict in run.judged():
            if verdict.outcome != "accept":
                for code in verdict.codes:
                    add(verdict.outcome, code, candidate.study_id)
    kinds = [*map(str, _ENDS), "reject", "doubt"]
    order = sorted(counts, key=lambda key: (kinds.index(key[0]), -counts[key], key[1]))
    return tuple(Reason(kind=k, reason=r, count=counts[k, r], studies=tuple(some[k, r])) for k, r in order)
