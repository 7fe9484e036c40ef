"""Labelled traces judged by the rules alone: `python -m benchmarks.labelled [--reports WHEEL --traces FILE...]`.

A labelled set has good traces, each with steps made false one at a time. Printed are, with Wilson intervals: good
traces rejected and doubted, and corrupted ones accepted. A corrupted trace counts as caught only by an error or doubt
that its good twin lacks. The sets of tests/corpus and of curation/verifying/labelled.jsonl (`shipped`) are always
judged; FILE are JSONL (`id`, `view`, `steps`, `bad`: `family`, `step`, `text`, and `also`, further steps with their
texts) about Open-i reports, which are read from the torchxrayvision wheel. A set judged once is development data from
then on. With --priors, steps may compare with a prior where the reference does.

For each code: good traces that it hits, corrupted ones that it newly hits, and those that nothing else newly hits.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenstep.curation.verifying.labelled import labelled_set
from tenstep.schemas.verdict import Verdict, Weight
from tenstep.validators.check import as_pair
from tenstep.validators.findings import compares_with_prior
from tenstep.validators.gate import judge

from benchmarks.findings import read_reports

CORPUS = Path(__file__).parent.parent / "tests" / "corpus"
_Z = 1.959964


@dataclass(frozen=True)
class Labelled:
    """A good trace, its reference, and its corruptions: (family, steps)."""

    id: str
    steps: Sequence[str]
    reference: str
    views: Sequence[str]
    bad: tuple[tuple[str, Sequence[str]], ...]
    has_prior: bool = False


@dataclass
class Counts:
    """What became of a set: outcomes of good traces; of corrupted ones "error", "doubt" or "missed", by family."""

    good: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    accepted: int = 0  # corrupted ones, also those whose good twin is not accepted
    codes: Counter[str] = field(default_factory=Counter)  # errors and doubts of good traces
    new: Counter[str] = field(default_factory=Counter)  # findings of corrupted ones that the good twin lacks
    alone: Counter[str] = field(default_factory=Counter)  # of corrupted ones with no other code that is new

    def line(self) -> str:
        """The three figures of the set."""
        good, bad = self.good.total(), self.bad.total()
        return (
            f"good rejected {share(self.good['reject'], good)}, doubted {share(self.good['doubt'], good)}; "
            f"corrupted missed {share(self.bad['missed'], bad)}, accepted {share(self.accepted, bad)}, "
            f"newly rejected {share(self.bad['error'], bad)}"
        )

    def table(self) -> Iterator[str]:
        """A line for each code."""
        good, bad = self.good.total(), self.bad.total()
        for code in sorted(self.codes | self.new, key=lambda code: (-self.alone[code], code)):
            hits, new, alone = self.codes[code], self.new[code], self.alone[code]
            yield f"{code:26} good {share(hits, good):24} corrupted {share(new, bad):24} alone {share(alone, bad)}"


def share(hits: int, of: int) -> str:
    """A share in per cent with Wilson's interval at 95 %."""
    if not of:
        return "-"
    p = hits / of
    middle = (p + _Z**2 / (2 * of)) / (1 + _Z**2 / of)
    half = _Z / (1 + _Z**2 / of) * math.sqrt(p * (1 - p) / of + _Z**2 / (4 * of**2))
    return f"{hits}/{of} = {p:.0%} [{max(0, middle - half):.0%}, {middle + half:.0%}]"


def corpus() -> list[Labelled]:
    """The traces of tests/corpus, about reports of our own."""
    reports = {row["id"]: row for row in _rows(CORPUS / "reports.jsonl")}
    return [
        _labelled(row["study"], row, reports[row["study"]]["report"], reports[row["study"]]["views"])
        for row in _rows(CORPUS / "traces.jsonl")
    ]


def shipped() -> list[Labelled]:
    """The set that calibrates verifiers: reports of our own, each with a good and a false trace."""
    found = labelled_set(None).traces
    good = {trace.id.removesuffix("-good"): trace for trace in found if trace.good}
    false = {trace.id.removesuffix("-bad"): trace for trace in found if not trace.good}
    return [
        Labelled(name, one.steps, one.study.report, one.study.views, ((false[name].family or "", false[name].steps),))
        for name, one in good.items()
    ]


def traces(path: Path, reports: Mapping[str, tuple[str, str]], priors: bool = False) -> list[Labelled]:
    """A JSONL file of traces about Open-i reports; with `priors` they may compare where the report does."""
    found = []
    for row in _rows(path):
        findings, impression = reports[row["id"]]
        report = f"Technique: Chest radiograph.\nView: {row['view']}\nFindings: {findings}\nImpression: {impression}"
        found.append(_labelled(row["id"], row, report, [row["view"]], priors and compares_with_prior(report)))
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in path.read_text("utf-8").splitlines())


def _labelled(name: str, row: dict[str, Any], report: str, views: Sequence[str], has_prior: bool = False) -> Labelled:
    bad = []
    for one in row["bad"]:
        changed = {str(one["step"]): one["text"]} | one.get("also", {})
        steps = [changed.get(str(number), step) for number, step in enumerate(row["steps"], 1)]
        bad.append((one["family"], steps))
    return Labelled(name, row["steps"], report, views, tuple(bad), has_prior)


def judged(rows: Sequence[Labelled], severities: Mapping[str, Weight] = {}) -> Counts:
    """Judge a set."""
    counts = Counts()
    for row in rows:
        verdict = _judge(row, row.steps, severities)
        known = _found(verdict)
        counts.good[verdict.outcome] += 1
        counts.codes.update({code for code, *_ in known})
        for family, steps in row.bad:
            worse = _judge(row, steps, severities)
            new = _found(worse) - known
            kind = "error" if any(severity == "error" for *_, severity in new) else "doubt" if new else "missed"
            counts.bad[kind] += 1
            counts.accepted += worse.outcome == "accept"
            codes = {code for code, *_ in new}
            counts.new.update(codes)
            counts.alone.update(codes if len(codes) == 1 else ())
            counts.families[family] += 1
            counts.missed[family] += kind == "missed"
    return counts


def _judge(row: Labelled, steps: Sequence[str], severities: Mapping[str, Weight]) -> Verdict:
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)) + f"\n\n{row.reference}"
    return judge(*as_pair(text, row.id, row.reference, views=row.views, has_prior=row.has_prior), severities)


def _found(verdict: Verdict) -> set[tuple[str, int | None, str, str]]:
    return {(f.code, f.step, f.message, f.severity) for f in verdict.findings if f.severity != "warning"}


def add_sets(parser: argparse.ArgumentParser) -> None:
    """The arguments that name labelled sets."""
    parser.add_argument("--reports", type=Path, metavar="WHEEL", help="the torchxrayvision wheel, for --traces")
    parser.add_argument("--traces", type=Path, nargs="*", default=[], metavar="FILE", help="labelled traces, JSONL")
    parser.add_argument("--priors", action="store_true", help="steps may compare where the reference does")


def sets_of(args: argparse.Namespace) -> dict[str, list[Labelled]]:
    """Our own two, and the sets that were named."""
    if args.traces and args.reports is None:
        raise SystemExit("--traces needs --reports, the wheel that holds the reports they are about")
    reports = read_reports(args.reports) if args.reports else {}
    return {"corpus": corpus(), "shipped": shipped()} | {
        path.stem: traces(path, reports, args.priors) for path in args.traces
    }


def main() -> None:
    """Print a table a set."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_sets(parser)
    for name, rows in sets_of(parser.parse_args()).items():
        counts = judged(rows)
        print(f"{name}: {counts.line()}")
        families = ", ".join(f"{family} {counts.missed[family]}/{n}" for family, n in counts.families.most_common())
        print(f"  missed by family: {families}")
        print("\n".join(f"  {line}" for line in counts.table()))


if __name__ == "__main__":
    main()
