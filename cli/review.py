"""`tenstep review`: a page with every trace, its report and what was found."""

import argparse
from pathlib import Path

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome
from .output import check_page_target

_REVIEW = """\
examples:
  tenstep review runs/offline                                     runs/offline/review.html, which opens from disk
  tenstep review runs/offline runs/samples --out review.html      teacher and student on one page
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep review`."""
    review = commands.add_parser(
        "review", help="a page with every trace, its report and what was found", epilog=_REVIEW
    )
    review.add_argument("runs", type=Path, metavar="RUN", nargs="+", help="of teachers, of students, or both")
    review.add_argument("--out", type=Path, metavar="HTML", help="where to write it; review.html in the first RUN")
    review.set_defaults(run=_review, json_keys=(frozenset({"page", "studies"}),))


def _review(args: argparse.Namespace) -> Outcome:
    from contextlib import ExitStack

    from ..curation.pages.review import write_review
    from ..data.run import RunFolder

    out = args.out or args.runs[0] / "review.html"
    check_page_target(out)
    with ExitStack() as stack:
        runs = [stack.enter_context(RunFolder.read(path)) for path in args.runs]
        try:
            studies = write_review(runs, out)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", file=out) from None
    return Outcome(
        payload={"page": str(out), "studies": studies}, notes=(f"{out}: {studies} studies; open it in a browser",)
    )
