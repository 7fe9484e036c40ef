"""This room's commands: curate, status, audit, recheck, judge, agreement, probe, review, findings."""

import argparse
from pathlib import Path

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome
from . import (
    agreement_command,
    audit_command,
    curate_command,
    findings_command,
    judge_command,
    probe_command,
    recheck_command,
    status_command,
)

_REVIEW = """\
examples:
  tenstep review runs/offline                                     runs/offline/review.html, which opens from disk
  tenstep review runs/offline runs/samples --out review.html      teacher and student on one page
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this room's commands."""
    curate_command.register(commands)
    status_command.register(commands)
    audit_command.register(commands)
    recheck_command.register(commands)
    judge_command.register(commands)
    agreement_command.register(commands)
    probe_command.register(commands)
    review = commands.add_parser(
        "review", help="a page with every trace, its report and what was found", epilog=_REVIEW
    )
    review.add_argument("runs", type=Path, metavar="RUN", nargs="+", help="of teachers, of students, or both")
    review.add_argument("--out", type=Path, metavar="HTML", help="where to write it; review.html in the first RUN")
    review.set_defaults(run=_review)
    findings_command.register(commands)


def _review(args: argparse.Namespace) -> Outcome:
    from contextlib import ExitStack

    from ..data.run import RunFolder
    from .pages.review import write_review

    out = args.out or args.runs[0] / "review.html"
    with ExitStack() as stack:
        runs = [stack.enter_context(RunFolder.read(path)) for path in args.runs]
        try:
            studies = write_review(runs, out)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", file=out) from None
    return Outcome(
        payload={"page": str(out), "studies": studies}, notes=(f"{out}: {studies} studies; open it in a browser",)
    )
