"""`tenstep review`: look at a run's traces on a page, or decide on them in a browser with --serve."""

import argparse
from pathlib import Path

from ..data.statistics import read_share
from ..schemas.errors import InputError
from ..schemas.outcome import Outcome
from .arguments import given, not_negative, once, port
from .output import check_page_target, say

_EPILOG = """\
examples:
  tenstep review runs/offline                                     runs/offline/review.html, which opens from disk
  tenstep review runs/offline runs/samples --out review.html      teacher and student on one page
  tenstep review runs/offline --serve --reader anna               anna decides, in her browser
  tenstep review runs/offline --serve --reader anna --reader ben  a link for each; a fifth of the traces is read by both
  tenstep review runs/offline --serve --queue finding:effusion    begin with what a reference says; or loss, code:NAME
  tenstep review runs/stage1 runs/stage2 --serve                  compare two runs, blinded
  ssh -L 8765:127.0.0.1:8765 host                                 then --serve --no-browser --port 8765 on the host

The server listens on this machine only. Decisions are kept in the run's journal; tables and counts follow when it ends.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep review`."""
    review = commands.add_parser("review", help="read traces on a page, or decide on them in a browser", epilog=_EPILOG)
    review.add_argument("runs", type=Path, metavar="RUN", nargs="+", help="of teachers, of students, or both")
    review.add_argument("--out", type=Path, metavar="HTML", help="where to write it; review.html in the first RUN")
    served = review.add_argument_group("with --serve")
    served.add_argument("--serve", action="store_true", help="decide in a browser; needs the extra 'review'")
    served.add_argument("--static", action="store_true", help="write the page (what happens without --serve)")
    only_served = [
        served.add_argument(
            "--reader", metavar="NAME", action="append", help="who reads; may be given again (your login)"
        ),
        served.add_argument(
            "--queue", default="work", metavar="QUEUE", help="where to begin: work, doubts, finding:NAME, ..."
        ),
        served.add_argument(
            "--attribution",
            type=Path,
            metavar="DIR",
            help="what tenstep attribute wrote (RUN/attribution, if it is there)",
        ),
        served.add_argument("--port", type=port, default=0, help="a free one if not given"),
        served.add_argument("--no-browser", action="store_true", help="print the links and open none"),
        served.add_argument("--seed", type=int, default=0, help="of the samples"),
        served.add_argument(
            "--share", type=read_share, default=0.1, help="of accepted and of rejected traces to read (0.1)"
        ),
        served.add_argument("--overlap", type=read_share, default=0.2, help="of items that every reader reads (0.2)"),
        served.add_argument(
            "--blind",
            choices=("never", "second", "always"),
            default="second",
            help="who sees no findings before deciding: nobody, second readers (default), everybody",
        ),
        served.add_argument("--min-seconds", type=not_negative, default=1.0, help="before a decision can be given (1)"),
    ]
    review.set_defaults(
        run=_review, only_served=only_served, json_keys=(frozenset({"page", "studies"}), frozenset({"run", "decided"}))
    )


def _review(args: argparse.Namespace) -> Outcome:
    once(args.runs)
    if not args.serve:
        if named := given(args, args.only_served):
            raise InputError(f"{', '.join(named)}: only with --serve")
        return _page(args)
    if args.static:
        raise InputError("--static and --serve: choose one")
    if args.out is not None:
        raise InputError("--out belongs to the static page, not to --serve")
    if len(args.runs) > 2:
        raise InputError("--serve takes one RUN, or two to compare")
    return _serve(args)


def _page(args: argparse.Namespace) -> Outcome:
    from contextlib import ExitStack

    from ..curation.pages.review import write_review
    from ..data.run import RunFolder

    out = args.out or args.runs[0] / "review.html"
    check_page_target(out, "--out" if args.out else None)
    with ExitStack() as stack:
        runs = [stack.enter_context(RunFolder.read(path)) for path in args.runs]
        try:
            studies = write_review(runs, out)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror}); choose another --out", file=out) from None
    return Outcome(
        payload={"page": str(out), "studies": studies}, notes=(f"{out}: {studies} studies; open it in a browser",)
    )


def _serve(args: argparse.Namespace) -> Outcome:
    import getpass
    import webbrowser

    from ..curation.reviewing.queues import Sampling
    from ..curation.reviewing.screens import Settings
    from ..curation.reviewing.serve import serve

    readers = list(dict.fromkeys(args.reader or [getpass.getuser()]))
    if bad := [name for name in readers if not name.strip() or len(name) > 80 or not name.isprintable()]:
        raise InputError(f"{bad[0]!r} is no name for a reader; give one of visible letters")
    sampling = Sampling(seed=args.seed, share=args.share, overlap=args.overlap)
    settings = Settings(
        sampling=sampling,
        blind=args.blind,
        min_seconds=args.min_seconds,
        queue=args.queue,
        attribution=args.attribution,
    )

    def links(by_reader: dict[str, str]) -> None:
        for name, link in by_reader.items():
            say(f"{name}: {link}")
        say("Each link works once. Ctrl-C ends the server.")
        if not args.no_browser:
            webbrowser.open(next(iter(by_reader.values())))

    decided = serve(args.runs, readers, settings, port=args.port, on_links=links)
    note = (
        f"{decided} pairs compared, in {args.runs[0] / 'preferences.jsonl'}"
        if len(args.runs) == 2
        else f"{decided} candidates have a reader's decision; look at them with: tenstep reviews {args.runs[0]}"
    )
    return Outcome(payload={"run": str(args.runs[0]), "decided": decided}, notes=(note,))
