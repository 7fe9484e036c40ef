"""Audit of reasoning that is not in ten steps: `python -m benchmarks.free_reasoning --reports WHEEL FILE...`.

FILE are JSON Lines (`id`, `form`, `text`, `bad`: `family`, `old`, `new`) about Open-i reports, which are read from the
torchxrayvision wheel: reasoning as thinking models and other datasets write it, each good, and again with one sentence
made false (`old`, which stands in the text once, becomes `new`). They are audited with `--steps any`. Printed are, by
form and with Wilson intervals: good texts rejected and doubted, corrupted ones accepted, and corrupted ones without an
error or doubt that their good twin lacks. Then the codes that hit good texts. A set judged once is development data.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tenstep.curation.auditing.judged import Reader, judge_row
from tenstep.curation.auditing.rows import read_row
from tenstep.schemas.verdict import Verdict

from benchmarks.findings import Report, four_header, read_reports
from benchmarks.labelled import share

ANY = Reader(steps="any")


def verdict(name: str, reasoning: str, report: Report) -> Verdict:
    """The audit's, of one row."""
    reference = four_header(report)
    fields = {"id": name, "reasoning": reasoning, "answer": reference, "reference_report": reference}
    return judge_row(read_row(fields, name, {})[0], ANY).verdict


def found(one: Verdict) -> set[tuple[str, str]]:
    """Its errors and doubts."""
    return {(finding.code, finding.message) for finding in one.findings if finding.severity != "warning"}


def judged(
    rows: Iterator[Mapping[str, Any]], reports: Mapping[str, Report]
) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Counts by form, and codes of good texts.

    Raises:
        SystemExit: a sentence that is to become false does not stand in its text once.
    """
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    codes: Counter[str] = Counter()
    for row in rows:
        name, text = row["id"], row["text"]
        good = verdict(name, text, reports[name])
        codes.update({code for code, _ in found(good)})
        counts = Counter({f"good {good.outcome}": 1, "good": 1})
        for bad in row["bad"]:
            if text.count(bad["old"]) != 1:
                raise SystemExit(f"{name}: {bad['old']!r} must stand in the text once")
            worse = verdict(name, text.replace(bad["old"], bad["new"]), reports[name])
            counts.update(["bad", f"bad {worse.outcome}", *(["missed"] if not found(worse) - found(good) else [])])
        forms[row["form"]] += counts
        forms["all"] += counts
    return forms, codes


def main() -> None:
    """Print a table a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=Path, metavar="WHEEL", required=True, help="the torchxrayvision wheel")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="labelled reasoning, JSONL")
    args = parser.parse_args()
    reports = read_reports(args.reports)
    for path in args.files:
        forms, codes = judged(map(json.loads, path.read_text("utf-8").splitlines()), reports)
        print(path.stem)
        for form, counts in forms.items():
            good, bad = counts["good"], counts["bad"]
            print(
                f"  {form:8} good rejected {share(counts['good reject'], good)}, doubted "
                f"{share(counts['good doubt'], good)}; corrupted accepted {share(counts['bad accept'], bad)}, missed "
                f"{share(counts['missed'], bad)}"
            )
        print(f"  codes of good texts: {', '.join(f'{code} {n}' for code, n in codes.most_common())}")


if __name__ == "__main__":
    main()
