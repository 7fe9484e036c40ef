"""`tenstep merge-runs`: the runs of several shards become one run folder."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome, Table

_EPILOG = """\
examples:
  tenstep curate recipe.yaml --studies studies --shard 1/2 --out runs/shard-1      on one machine
  tenstep curate recipe.yaml --studies studies --shard 2/2 --out runs/shard-2      on another
  tenstep merge-runs runs/whole runs/shard-1 runs/shard-2

No request is sent, and the runs are not changed. The merged run is a run like any other: status, recheck, review and
export take it, and tenstep curate with the recipe of the whole goes on where the shards left off.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    merge = commands.add_parser("merge-runs", help="one run folder from the runs of several shards", epilog=_EPILOG)
    merge.add_argument("out", type=Path, metavar="OUT", help="the new run folder")
    merge.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    merge.add_argument("--studies", type=Path, metavar="STORE", help="the runs' study store, if it moved")
    merge.set_defaults(run=_merge, json_keys=(frozenset({"run", "merged"}),))


def _merge(args: argparse.Namespace) -> Outcome:
    from ..curation.merging import merge_runs
    from ..curation.status import money

    found = merge_runs(args.out, args.runs, args.studies)
    counts = found.counts
    rows = [("runs", str(len(args.runs))), ("events", str(found.events)), ("accepted", str(counts["accepted"]))]
    rows += [("in doubt", str(counts["doubted"])), ("  templates across shards", str(found.templates))]
    rows += [("rejected", str(counts["rejected"])), ("spend", money(found.spend_usd))]
    payload = {
        "run": str(args.out),
        "merged": [str(run) for run in args.runs],
        "events": found.events,
        "templates": found.templates,
        **counts,
        "spend_usd": found.spend_usd,
        "finished": found.finished,
        "notes": list(found.notes),
    }
    notes = (*found.notes, f"{args.out}: look at it with: tenstep status {args.out}")
    table = Table(title=f"merge-runs {args.out}", columns=("", ""), rows=tuple(rows))
    return Outcome(payload=payload, tables=(table,), notes=notes)
