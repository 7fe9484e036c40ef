"""How far readers agree, and how far the rules agree with readers: the figures that say whether a code may reject.

Agreement is by question: the decision, and each code as yes or no. The gate's figures count final readings only
(adjudicated, unanimous or single), each candidate once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from ...data.readings import final
from ...data.run import RunFolder
from ...data.statistics import wilson
from ...schemas.reading import Reading
from ..judging.raters import agreement, by_question
from .index import TraceIndex
from .shown import explained

_ROUNDS = 500  # of the bootstrap, for a page that is looked at while reading goes on


class CodeMeasure(NamedTuple):
    """One code against the readers. Counts are candidates."""

    code: str
    found: int  # the code was found, and readers decided
    rejected: int  # of them, rejected by the readers
    named: int  # readers reject, and name the code
    both: int  # of them, the code was found


def code_measures(index: TraceIndex, readings: Sequence[Reading]) -> list[CodeMeasure]:
    """Every code that was found in, or named for, a candidate that readers decided on; the most found first."""
    by_key: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        by_key[reading.key].append(reading)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for key, given in by_key.items():
        entry, found = index.entries.get(key), final(given)
        if entry is None or found.decision is None:
            continue
        rejected = found.decision == "reject"
        named = {code for reading in given for code in reading.codes} if rejected else set()
        for code in entry.codes:
            counts[code][0] += 1
            counts[code][1] += rejected
        for code in named:
            counts[code][2] += 1
            counts[code][3] += code in entry.codes
    rows = [CodeMeasure(code, *found) for code, found in counts.items()]
    return sorted(rows, key=lambda row: (-row.found, row.code))


def gate_rows(index: TraceIndex, readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """The same as words for a table."""
    return [
        {
            "code": row.code,
            "explained": explained(row.code),
            "found": row.found,
            "precision": _share(row.rejected, row.found),
            "named": row.named,
            "recall": _share(row.both, row.named),
        }
        for row in code_measures(index, readings)
    ]


def ratings(readings: Sequence[Reading]) -> dict[str, dict[str, dict[str, bool | str]]]:
    """By reader and candidate: the decision, and each code that any reader of the run has named, as yes or no."""
    blind = [r for r in readings if r.kind == "reading" and not r.saw_others]
    codes = sorted({code for reading in blind for code in reading.codes})
    found: dict[str, dict[str, dict[str, bool | str]]] = defaultdict(dict)
    for reading in blind:
        answers: dict[str, bool | str] = {"decision": str(reading.decision)}
        answers |= {code: code in reading.codes for code in codes}
        found[reading.reader][reading.key] = answers
    return dict(found)


def agreement_rows(run: RunFolder, readings: Sequence[Reading]) -> list[dict[str, str]]:
    """Kappa and alpha of every pair of readers and every question, as words for a table."""
    given = ratings(readings)
    names = sorted(given)
    patients = _patients(run, readings)
    rows = []
    for question, items in by_question([given[name] for name in names], patients).items():
        found = agreement(items, rounds=_ROUNDS)
        for pair, (one, other) in zip(found.pairs, combinations(names, 2), strict=True):
            if pair.items:
                rows.append(
                    {
                        "question": question,
                        "readers": f"{one}, {other}",
                        "items": str(pair.items),
                        "equal": str(pair.raw),
                        "kappa": str(pair.kappa),
                        "alpha": str(found.alpha),
                    }
                )
    return rows


def _patients(run: RunFolder, readings: Sequence[Reading]) -> Mapping[str, str]:
    studies = {reading.study_id for reading in readings}
    patient = {study: person for study, person in run.studies.patients() if study in studies}
    return {reading.key: patient.get(reading.study_id, reading.study_id) for reading in readings}


def _share(part: int, whole: int) -> str:
    if not whole:
        return "-"
    _, low, high = wilson(part, whole)
    return f"{part / whole:.2f} ({low:.2f} to {high:.2f}), {part} of {whole}"
