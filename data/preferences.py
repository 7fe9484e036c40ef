"""Preference pairs: which rejected candidates of a study stand against its accepted one.

Only candidates that rules rejected for what they say (codes that the caller names), with ten steps of their own and a
text about as long: a pair that differs in length or form teaches length or form. What becomes no pair is counted.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ..schemas.candidate import Candidate
from ..schemas.example import Example
from ..schemas.export import Pairs, Rejected
from ..schemas.trace import STEPS
from ..schemas.verdict import Finding, Verdict
from .run import RunFolder
from .selection import Sourced

LONGER = 1.5  # times as many characters, at most; and the same for shorter


def pairs_of(
    run: Path, examples: Mapping[str, Example], codes: Collection[str], *, most: int, studies: Path | None = None
) -> tuple[dict[str, tuple[Rejected, ...]], Pairs]:
    """Rejected candidates for examples of a run.

    Args:
        run: its folder.
        examples: by study id.
        codes: what a candidate may have been rejected for.
        most: pairs of one study, at most.
        studies: the run's study store, if it moved.

    Returns:
        rejected candidates by study, in the order of the store and of attempts; and the counts.
    """
    found: dict[str, list[Rejected]] = {}
    dropped: Counter[str] = Counter()
    with RunFolder.read(run, studies=studies) as opened:
        for candidate, verdict in opened.judged(by_study=True):
            example = examples.get(candidate.study_id)
            if example is None or verdict.outcome != "reject":
                continue
            taken = found.setdefault(candidate.study_id, [])
            if (reason := _unfit(candidate, verdict, example, taken, codes)) is not None:
                dropped[reason] += 1
            elif len(taken) >= most:
                dropped[f"more than {most} of a study"] += 1
            else:
                assert candidate.trace is not None  # without one it is unfit
                rules = tuple(dict.fromkeys(f"{f.rule}: {f.code}" for f in _errors(verdict)))
                taken.append(Rejected(key=candidate.key, steps=candidate.trace.texts, rules=rules))
    kept = {study: tuple(some) for study, some in found.items() if some}
    return kept, Pairs(made=sum(map(len, kept.values())), dropped=dict(sorted(dropped.items())))


def rejected_of(
    sourced: Iterable[Sourced], codes: Collection[str], *, most: int, studies: Path | None = None
) -> tuple[dict[str, tuple[Rejected, ...]], Pairs]:
    """As `pairs_of`, for examples of several runs."""
    by_run: defaultdict[Path, dict[str, Example]] = defaultdict(dict)
    for one in sourced:
        by_run[one.run][one.example.study.id] = one.example
    found: dict[str, tuple[Rejected, ...]] = {}
    made = 0
    dropped: Counter[str] = Counter()
    for run, examples in by_run.items():
        some, pairs = pairs_of(run, examples, codes, most=most, studies=studies)
        found |= some
        made += pairs.made
        dropped.update(pairs.dropped)
    return found, Pairs(made=made, dropped=dict(sorted(dropped.items())))


def _unfit(
    candidate: Candidate, verdict: Verdict, example: Example, taken: list[Rejected], codes: Collection[str]
) -> str | None:
    errors = _errors(verdict)
    if not errors:
        return "rejected by a reader, not by a rule"
    if not {finding.code for finding in errors} <= set(codes):
        return "rejected for its form"
    trace = candidate.trace
    if trace is None or [step.number for step in trace.steps] != list(range(1, STEPS + 1)):
        return "without ten steps"
    if trace.texts == example.trace.texts or any(one.steps == trace.texts for one in taken):
        return "the same text"
    lengths = [sum(map(len, texts)) for texts in (trace.texts, example.trace.texts)]
    if max(lengths) > LONGER * min(lengths):
        return f"more than {LONGER:g} times as long, or as short"
    return None


def _errors(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.severity == "error"]
