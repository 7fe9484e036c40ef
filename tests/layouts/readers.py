"""Two made-up readers of a practice run, for whoever does not want to read it: their decisions as a CSV.

    python -m tests.layouts.readers RUN readings.csv

Both read every doubt and the first twenty accepted traces. A trace on whose mistake the scripted teacher's label stands
is rejected by both; of the last doubt and of the last accepted trace, ben thinks otherwise than anna.
"""

import csv
import sys
from pathlib import Path

from tenstep.data.run import RunFolder

_ACCEPTED = 20


def write(run: Path, out: Path) -> None:
    """Write the decisions as `tenstep reviews RUN --from` reads them."""
    with RunFolder.read(run) as opened:
        judged = sorted(opened.judged(), key=lambda found: found[0].study_id)
    doubts = [(candidate, verdict) for candidate, verdict in judged if verdict.outcome == "doubt"]
    accepted = [(candidate, verdict) for candidate, verdict in judged if verdict.outcome == "accept"][:_ACCEPTED]
    with out.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("key", "reader", "decision", "codes"))
        for found in (doubts, accepted):
            for candidate, verdict in found:
                wrong = candidate.label is not None
                for reader in ("anna", "ben"):
                    differs = reader == "ben" and candidate.key == found[-1][0].key
                    decision = "reject" if wrong != differs else "accept"
                    codes = " ".join(sorted(verdict.codes)) if decision == "reject" else ""
                    rows.writerow((candidate.key, reader, decision, codes))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
