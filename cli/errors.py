"""`tenstep errors`: failures of a run, grouped by reason."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome, Table

_MEANS = {
    "failed": "no answer, not billed",
    "refused": "the teacher declined",
    "unknown": "sent, never answered; may have been billed",
    "reject": "rejected by a rule",
    "doubt": "in doubt",
}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    errors = commands.add_parser(
        "errors", help="failures of a run, grouped by reason", epilog="examples:\n  tenstep errors runs/first"
    )
    errors.add_argument("path", type=Path, metavar="RUN")
    errors.set_defaults(run=_errors, json_keys=(frozenset({"run", "reasons"}),))


def _errors(args: argparse.Namespace) -> Outcome:
    from ..curation.failures import failures

    found = failures(args.path)
    rows = tuple((_MEANS[one.kind], one.reason, f"{one.count:,}", ", ".join(one.studies)) for one in found)
    table = Table(title=f"errors {args.path}", columns=("what", "reason", "times", "studies, some"), rows=rows)
    return Outcome(
        payload={"run": str(args.path), "reasons": [one.model_dump() for one in found]},
        tables=(table,) if found else (),
        notes=() if found else ("nothing failed, and nothing was rejected",),
    )
