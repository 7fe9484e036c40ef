"""Recall by family, false rejects and candidates a second, on our own corpus: `python -m benchmarks.rules`.

The corpus (tests/corpus) has synthetic reports, good traces of them in many styles, and corruptions: of meaning,
written by hand, one step each; and of structure, report, honesty and form, made here (corruptions.py). A corruption
counts as found only if an error or doubt appears that the good trace does not have. With --medspacy PYTHON, the
interpreter of an environment that has medspaCy, its speed on the same sentences is printed beside ours.
"""

import argparse
import json
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tenstep.schemas.verdict import Verdict
from tenstep.validators import check
from tenstep.validators.check import as_pair
from tenstep.validators.gate import judge
from tenstep.validators.memory import forget

from benchmarks.beside import medspacy
from benchmarks.corruptions import corrupted, text_of

CORPUS = Path(__file__).parent.parent / "tests" / "corpus"
_TIMES = 20
GROUPS = {
    **dict.fromkeys(("leak", "prior"), "honesty"),
    **dict.fromkeys(("repeat", "loop", "short"), "form"),
}


def lines(name: str) -> list[dict[str, Any]]:
    """The objects of a JSONL file of the corpus."""
    return [json.loads(line) for line in (CORPUS / name).read_text("utf-8").splitlines()]


def findings(verdict: Verdict) -> set[tuple[str, int | None, str]]:
    """What rejects or must be resolved: errors and doubts."""
    return {(found.code, found.step, found.message) for found in verdict.findings if found.severity != "warning"}


def rate(pairs: list[Any], rounds: int, cold: bool) -> float:
    """Candidates a second of processor time, best of the rounds."""
    best = 0.0
    for _ in range(rounds):
        start = time.process_time()
        for pair in pairs:
            if cold:
                forget()
            judge(*pair)
        best = max(best, len(pairs) / (time.process_time() - start))
    return best


def read_anew(pairs: list[Any]) -> tuple[float, float]:
    """Judges each pair as if nothing was ever read; seconds on the clock and of the processor."""
    clock, cpu = time.perf_counter(), time.process_time()
    for pair in pairs:
        forget()
        judge(*pair)
    return time.perf_counter() - clock, time.process_time() - cpu


def two_processes(pairs: list[Any], rounds: int) -> tuple[float, float]:
    """By how much two processes, each with half of the pairs, are quicker than one, without their start; and how much
    more of the processor they take together, which other work on the machine changes less. Each pair comes up again and
    again, so that the work outlasts what sending it takes."""
    alone, together, clock = list[tuple[float, float]](), list[tuple[float, float]](), 0.0
    pairs = pairs * _TIMES
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(read_anew, [pairs[:2], pairs[:2]]))
        for _ in range(rounds):
            start = time.perf_counter()
            together += pool.map(read_anew, [pairs[::2], pairs[1::2]])
            clock += time.perf_counter() - start
            alone.append(read_anew(pairs))
    return sum(one for one, _ in alone) / clock, sum(cpu for _, cpu in together) / sum(cpu for _, cpu in alone)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--medspacy", metavar="PYTHON", help="an interpreter that has medspaCy, for the comparison")
    parser.add_argument("--rounds", type=int, default=5, help="repeats of each timing (default: 5)")
    args = parser.parse_args()
    reports = {row["id"]: row for row in lines("reports.jsonl")}
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    missed: list[str] = []
    rejected: list[str] = []
    pairs, texts = [], []
    for row in lines("traces.jsonl"):
        study, steps = reports[row["study"]], row["steps"]
        report, views = study["report"], study["views"]
        good = findings(check(text_of(steps, report), report, views=views))
        if good:
            rejected.append(f"{row['study']} ({row['style']}): {sorted(code for code, _, _ in good)}")
        pairs.append(as_pair(text_of(steps, report), row["study"], report, views=views))
        texts.append(" ".join(steps) + " " + report)
        cases = [(group, kind, text) for group, kind, text in corrupted(steps, report)]
        for bad in row["bad"]:
            changed = [*steps]
            changed[bad["step"] - 1] = bad["text"]
            cases.append((GROUPS.get(bad["family"], "grounding"), bad["family"], text_of(changed, report)))
        for group, kind, text in cases:
            total[group] += 1
            kinds[f"{group}: {kind}"] += 1
            if findings(check(text, report, views=views)) - good:
                found[group] += 1
            else:
                missed.append(f"{group}: {kind}, {row['study']} ({row['style']})")
    wrong: Counter[bool] = Counter()
    size: Counter[bool] = Counter()
    for row in lines("sentences.jsonl"):
        report = reports[row["study"]]["report"]
        steps = [f"Region {number} of the chest was inspected." for number in range(1, 10)] + [row["text"]]
        rejects = any(step == 10 for _, step, _ in findings(check(text_of(steps, report), report)))
        size[row["good"]] += 1
        wrong[row["good"]] += rejects == row["good"]
    right = f"{wrong[True]} of {size[True]} right ones rejected or doubted"
    print(f"single steps: {right}, {wrong[False]} of {size[False]} wrong ones missed")
    print(
        f"good traces rejected or doubted: {len(rejected)} of {len(pairs)} ({len(rejected) / len(pairs):.1%}; bar 45 %)"
    )
    print("\n".join(f"  {line}" for line in rejected))
    for group in total:
        bar = 0.90 if group == "grounding" else 0.97
        print(f"{group:10} recall {found[group] / total[group]:.3f} of {total[group]:4} (bar {bar})")
    print("missed:\n" + "\n".join(f"  {line}" for line in missed))
    warm, cold = rate(pairs, args.rounds, cold=False), rate(pairs, args.rounds, cold=True)
    quicker, more = two_processes(pairs, args.rounds)
    print(
        f"\nall rules: {warm:.0f} candidates/s on one core; {cold:.0f}/s if no sentence was ever read before, "
        f"{quicker:.2f} times that with two processes, which take {more:.2f} times its processor time"
    )
    if args.medspacy:
        theirs = medspacy(args.medspacy, texts).rate
        print(
            f"medspaCy, 14 labels and its ConText: {theirs:.0f} texts/s; all our rules {warm / theirs:.1f} times that, "
            f"and {cold / theirs:.1f} times if no sentence was ever read before"
        )


if __name__ == "__main__":
    main()
