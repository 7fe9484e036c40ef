"""What each code finds on the labelled set: `python -m benchmarks.code_precision [--write]`.

The set is curation/verifying/labelled.jsonl: 100 good traces and 100 with one thing made false. A hit on a good trace
is a false one. --write keeps the figures for `tenstep rules` and for dataset cards (validators/measured.json).
"""

import argparse
import json
from collections import Counter
from importlib import resources
from pathlib import Path

from tenstep.schemas.layout import write
from tenstep.validators import measured
from tenstep.validators.check import check

SET = "100 good and 100 bad traces of fictional reports (tenstep's labelled set)"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rows = [
        json.loads(line)
        for line in resources.files("tenstep.curation.verifying").joinpath("labelled.jsonl").read_text().splitlines()
    ]
    hits: Counter[tuple[str, bool]] = Counter()
    outcomes: Counter[tuple[str, bool]] = Counter()
    families: Counter[tuple[str, str]] = Counter()
    for row in rows:
        verdict = check(write(row["steps"], row["report"]), row["report"], views=[row["view"]])
        hits.update((code, row["good"]) for code in {finding.code for finding in verdict.findings})
        outcomes[verdict.outcome, row["good"]] += 1
        families[row["family"] or "good", verdict.outcome] += 1
    codes = {code: [hits[code, True], hits[code, False]] for code in sorted({code for code, _ in hits})}
    print(f"{'code':32} good  bad")
    for code, (good, bad) in codes.items():
        print(f"{code:32} {good:4} {bad:4}")
    for family in sorted({family for family, _ in families}):
        counts = ", ".join(f"{outcome} {families[family, outcome]}" for outcome in ("accept", "doubt", "reject"))
        print(f"{family:20} {counts}")
    if args.write:
        found = {
            "of": SET,
            "good": 100,
            "bad": 100,
            "rules_sha256": measured.rules_sha256(),
            "codes": codes,
        }
        path = Path(str(resources.files("tenstep.validators").joinpath(measured.FILE)))
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
