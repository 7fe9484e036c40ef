"""This room's commands: curate, status, audit, review, findings."""

import argparse
from pathlib import Path

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from . import curate_command, findings_command, status_command

_AUDIT = """\
examples:
  tenstep audit traces.jsonl                     a table
  tenstep audit traces.jsonl --json audit.json   and every finding of every row

input: one JSON object a line with id, text (steps, then the report), and optionally reference_report, views,
labels, patient_id, has_prior; or a run folder. Without reference_report, the rules that compare the report with
it are skipped, which is said.
"""
_REVIEW = """\
examples:
  tenstep review runs/offline                                     runs/offline/review.html, which opens from disk
  tenstep review runs/offline runs/samples --out review.html      teacher and student on one page
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this room's commands."""
    curate_command.register(commands)
    status_command.register(commands)
    audit = commands.add_parser("audit", help="judge any chain-of-thought dataset", epilog=_AUDIT)
    audit.add_argument("path", type=Path, metavar="PATH")
    audit.set_defaults(run=_audit)
    review = commands.add_parser(
        "review", help="a page with every trace, its report and what was found", epilog=_REVIEW
    )
    review.add_argument("runs", type=Path, metavar="RUN", nargs="+", help="of teachers, of students, or both")
    review.add_argument("--out", type=Path, metavar="HTML", help="where to write it; review.html in the first RUN")
    review.set_defaults(run=_review)
    findings_command.register(commands)


def _audit(args: argparse.Namespace) -> Outcome:
    from .audit import audit

    report = audit(args.path)
    n = len(report.items)
    rows = [("rows", str(n)), ("accepted", str(report.accepted)), ("rejected", str(n - report.accepted))]
    rows += [(f"  {code}", str(count)) for code, count in report.codes.items()]
    table = Table(title=f"audit {args.path}", columns=("", ""), rows=tuple(rows))
    return Outcome(
        payload=report.as_dict(), tables=(table,), notes=report.notes, exit_code=2 if report.unreadable else 0
    )


def _review(args: argparse.Namespace) -> Outcome:
    from contextlib import ExitStack

    from ..data.run import RunFolder
    from .review import write_review

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
