"""`tenstep status`: where a run stands, and what it cost."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome

_EPILOG = """\
examples:
  tenstep status runs/offline
  tenstep status runs/offline --json             the same for machines, while the run is under way too
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    status = commands.add_parser("status", help="where a run stands, what it cost and will cost", epilog=_EPILOG)
    status.add_argument("run_folder", type=Path, metavar="RUN")
    status.add_argument("--studies", type=Path, metavar="STORE", help="the run's study store, if it moved")
    status.set_defaults(run=_status, json_keys=(frozenset({"run", "touched"}),))


def _status(args: argparse.Namespace) -> Outcome:
    from ..curation.status import notes, nothing_came, status, tables
    from ..data.run import RunFolder

    with RunFolder.read(args.run_folder, studies=args.studies) as run:
        found = status(run)
    failed = int(nothing_came(found))
    return Outcome(payload=found.model_dump(mode="json"), tables=tables(found), notes=notes(found), exit_code=failed)
