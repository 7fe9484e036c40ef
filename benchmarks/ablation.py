"""Every part of the reader and every grounding rule, switched off one at a time: `python -m benchmarks.ablation`.

Prints what changes on all labelled sets at hand: micro F1 of the finding labels (--gold), and of the labelled traces
(corpus, --traces) the good ones rejected and doubted and the corrupted ones missed. What changes nothing anywhere is
named at the end: it earns nothing and is to be deleted.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tenstep.schemas.verdict import Weight
from tenstep.validators import gate
from tenstep.validators.findings import claims
from tenstep.validators.findings.switches import PARTS, turned_off

from benchmarks.findings import COLUMNS, KINDS, f1, four_header, read_reports
from benchmarks.labelled import Labelled, add_sets, judged, sets_of

Figures = dict[str, float]


def labels(path: Path, reports: Mapping[str, tuple[str, str]]) -> list[tuple[str, dict[str, str]]]:
    """Reports with gold labels: text, and the row of labels."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [(four_header(reports[r["filename"]]), r) for r in csv.DictReader(stream) if r["filename"] in reports]


def figures(
    sets: Mapping[str, list[Labelled]], gold: list[tuple[str, dict[str, str]]], severities: Mapping[str, Weight] = {}
) -> Figures:
    """All figures of all sets."""
    found: Figures = {}
    if gold:
        counts: Counter[str] = Counter()
        for text, row in gold:
            named = {claim.finding for claim in claims(text) if claim.status == "present" and not claim.implied}
            counts.update(
                kind for column, name in COLUMNS.items() if (kind := KINDS.get((name in named, row[column] == "1")))
            )
        found["gold F1"] = round(f1(counts), 4)
    for name, rows in sets.items():
        result = judged(rows, severities)
        found[f"{name} rejected"] = result.good["reject"]
        found[f"{name} doubted"] = result.good["doubt"]
        found[f"{name} missed"] = result.bad["missed"]
    return found


def main() -> None:
    """Print a line for each part and rule that changes something, and the names of the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_sets(parser)
    parser.add_argument("--gold", type=Path, metavar="CSV", help="NegBio's labels, as for benchmarks.findings")
    args = parser.parse_args()
    if args.gold and args.reports is None:
        parser.error("--gold needs --reports")
    sets = sets_of(args)
    gold = labels(args.gold, read_reports(args.reports)) if args.gold else []
    whole = figures(sets, gold)
    print("with everything: " + ", ".join(f"{name} {value:g}" for name, value in whole.items()))
    idle = []
    for name in PARTS:
        with turned_off(name):
            idle += [] if _changed(name, whole, figures(sets, gold)) else [name]
    for rule in gate.group("grounding"):
        off: dict[str, Weight] = dict.fromkeys(rule.CODES, "off")
        name = f"rule {rule.__name__.rpartition('.')[2]}"
        idle += [] if _changed(name, whole, figures(sets, [], off)) else [name]
    print(f"\nchange nothing on these sets: {', '.join(idle) or 'none'}")


def _changed(name: str, before: Figures, after: Figures) -> bool:
    changes = {key: value - before[key] for key, value in after.items() if value != before[key]}
    if changes:
        print(
            f"  without {name:28} " + ", ".join(f"{key} {change:+.4g}" for key, change in changes.items()), flush=True
        )
    return bool(changes)


if __name__ == "__main__":
    main()
