"""`tenstep join`: an export that holds ids, steps and hashes, made whole by the owner of its studies."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome
from .export import add_image_options, outcome


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    join = commands.add_parser(
        "join",
        help="add reports and images to an export of restricted studies, from one's own copy of them",
        epilog="examples:\n  tenstep join shared --studies mimic-studies --out dataset\n\n"
        "every report and image is compared with its hash",
    )
    join.add_argument("path", type=Path, metavar="EXPORT", help="what tenstep export wrote of restricted studies")
    join.add_argument("--studies", type=Path, nargs="+", required=True, metavar="STORE", help="stores that hold them")
    join.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    add_image_options(join)
    join.set_defaults(run=_join, json_keys=(frozenset({"export", "exporter"}),))


def _join(args: argparse.Namespace) -> Outcome:
    from ..distill.dataset import join

    manifest = join(args.path, args.out, args.studies, one_image=args.one_image, text_only=args.text_only)
    return outcome(args.out, manifest)
