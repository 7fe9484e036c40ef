"""Candidates a second through the rules, beside a plain regex loop: `python -m benchmarks.validate [--candidates N]`.

The plain loop does what scripts do: it counts the lines that open with a number and a dot, and knows no more. The
texts are the rules' own cases, good and bad, so that every path is taken. Then the same rules on a megabyte of
hostile text, where a regular expression that backtracks would show.
"""

import argparse
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import cycle, islice

from tenstep.schemas.candidate import Candidate
from tenstep.schemas.layout import parse
from tenstep.schemas.study import Study
from tenstep.schemas.trace import STEPS
from tenstep.validators.gate import RULES, judge
from tenstep.validators.rule import REFERENCE, Case, Rule, ten

NUMBERED = re.compile(r"(?m)^\d{1,2}\. ")
MEGABYTE = 1_000_000
HOSTILE = {
    "1. 1. 1. on one line": "1. " * (MEGABYTE // 3),
    "an empty step a line": "1. \n" * (MEGABYTE // 4),
    "spaces in a step": ten({3: f"x{' ' * MEGABYTE}x"}),
    "lines of blanks": "1. x\n" + "\t\n" * (MEGABYTE // 2),
    "opening brackets": ten({5: "<|" * (MEGABYTE // 2)}),
    "a header a line": ten(report="Technique: \n" * (MEGABYTE // 12)),
    "the report 5,000 times": ten(report=f"{REFERENCE}\n" * (MEGABYTE // len(REFERENCE))),
    "another style": "1) x\n" * (MEGABYTE // 5),
}


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The best of the repeats: the others were disturbed."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def judge_all(rule: Rule, pairs: Iterable[tuple[Study, Candidate]]) -> None:
    """Run one rule to its end on every pair."""
    for study, candidate in pairs:
        deque(rule.rule(study, candidate), maxlen=0)


def short_name(rule: Rule) -> str:
    """`tenstep.validators.report` to `report`."""
    return rule.__name__.rpartition(".")[2]


def typical(count: int) -> None:
    """Print rates on the rules' own cases."""
    cases = [case for rule in RULES for case in (*rule.PASSES, *rule.FAILS)]
    pairs = list(islice(cycle([(case.study, case.candidate) for case in cases if case.candidate.trace]), count))
    texts = [candidate.text for _, candidate in pairs]
    plain = seconds(lambda: [len(NUMBERED.findall(text)) == STEPS for text in texts])
    rows = [
        ("plain regex count", plain),
        ("taking apart (parse)", seconds(lambda: [parse(text) for text in texts])),
        *((short_name(rule), seconds(partial(judge_all, rule, pairs))) for rule in RULES),
        ("all rules (judge)", seconds(lambda: [judge(*pair) for pair in pairs])),
    ]
    print(f"{count:,} candidates, {sum(map(len, texts)) / count:,.0f} characters each on average")
    print(f"{'':24}{'a second':>12}{'times the plain loop':>24}")
    for name, took in rows:
        print(f"{name:24}{count / took:>12,.0f}{took / plain:>23,.1f}x")


def hostile() -> None:
    """Print milliseconds of the slowest rule, of all rules and of the plain loop, on a megabyte each."""
    print(f"\n{'one megabyte of':28}{'slowest rule':>24}{'all rules':>12}{'plain loop':>12}")
    for name, text in HOSTILE.items():
        case = Case(text)
        pairs = [(case.study, case.candidate)]
        each = {short_name(rule): 1e3 * seconds(partial(judge_all, rule, pairs)) for rule in RULES}
        slowest = max(each, key=each.__getitem__)
        plain = 1e3 * seconds(partial(NUMBERED.findall, text))
        print(f"{name:28}{f'{slowest} {each[slowest]:.1f} ms':>24}", end="")
        print(f"{f'{sum(each.values()):.1f} ms':>12}{f'{plain:.1f} ms':>12}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--candidates", type=int, default=5_000)
    typical(arguments.parse_args().candidates)
    hostile()
