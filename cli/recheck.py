"""`tenstep recheck`: a run judged again, without a call."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.outcome import Outcome, Table
from .progress import progress

if TYPE_CHECKING:
    from ..curation.recheck import Rechecked

_EPILOG = """\
examples:
  tenstep recheck runs/offline      after an update of tenstep: which candidates does it judge otherwise, and why?

nobody is asked: answers are in the journal. Old verdicts stay there; the last one counts.
"""
_SHOWN = 40  # candidates in the table


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    recheck = commands.add_parser("recheck", help="judge a run again, without a call", epilog=_EPILOG)
    recheck.add_argument("path", type=Path, metavar="RUN")
    recheck.set_defaults(run=_recheck, json_keys=(frozenset({"candidates", "changed"}),))


def _recheck(args: argparse.Namespace) -> Outcome:
    from ..curation.recheck import NOW, recheck

    with progress(None, "recheck") as bar:
        found = recheck(args.path, bar.advance)
    flipped = found.flipped
    counts = Table(
        title=f"recheck {args.path}",
        columns=("", ""),
        rows=(
            ("candidates", str(found.candidates)),
            ("verdict as before", str(found.candidates - len(flipped))),
            ("  with other findings", str(len(found.changed) - len(flipped))),
            *((way, str(sum(one.now == outcome for one in flipped))) for outcome, way in NOW.items()),
            ("accepted studies before / now", f"{found.accepted_before} / {found.counts['accepted']}"),
        ),
    )
    rules = Table(
        title="by which rule",
        columns=("rule: code", "verdict", "candidates"),
        rows=tuple((rule, way, str(n)) for (rule, way), n in found.rules.most_common()),
    )
    return Outcome(
        payload=_rechecked(found),
        tables=(counts, rules, _flipped(found)) if flipped else (counts,),
        notes=() if flipped else ("no verdict changed",),
    )


def _flipped(found: "Rechecked") -> Table:
    from ..curation.recheck import NOW

    rows = [
        (one.study_id, str(one.attempt), f"was {one.was}, {NOW[one.now]}", ", ".join(one.rules))
        for one in found.flipped[:_SHOWN]
    ]
    left = len(found.flipped) - len(rows)
    more = [(f"and {left} more", "", "", "--json names them")] if left else []
    return Table(title="which candidates", columns=("study", "attempt", "verdict", "by"), rows=(*rows, *more))


def _rechecked(found: "Rechecked") -> dict[str, object]:
    return {
        "candidates": found.candidates,
        "changed": [
            {
                "study_id": one.study_id,
                "key": one.key,
                "attempt": one.attempt,
                "was": one.was,
                "now": one.now,
                "was_accepted": one.was == "accept",
                "accepted": one.now == "accept",
                "rules": list(one.rules),
                "came": [f.model_dump(include={"rule", "code", "severity", "step"}) for f in one.came],
                "went": [f.model_dump(include={"rule", "code", "severity", "step"}) for f in one.went],
            }
            for one in found.changed
        ],
        "now_accepted": sum(one.now == "accept" for one in found.flipped),
        "now_doubted": sum(one.now == "doubt" for one in found.flipped),
        "now_rejected": sum(one.now == "reject" for one in found.flipped),
        "rules": [{"rule": rule, "verdict": way, "candidates": n} for (rule, way), n in found.rules.most_common()],
        "accepted_before": found.accepted_before,
        "counts": found.counts,
    }
