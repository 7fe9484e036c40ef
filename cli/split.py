"""`tenstep split`: train, validate and test by patient, and what they share."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome
from .engines import add_engine_options, engine_of
from .progress import progress


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep split`."""
    parser = commands.add_parser(
        "split",
        help="train, validate and test by patient, and what they share",
        description="Split study stores by patient, seeded; splits that a source has published are kept, so every "
        "source has its own held-out test. Then look for what train shares with the held-out studies, across all "
        "stores: patients, studies, reports, images, exactly and nearly. Exit code 2 if train and a held-out split "
        "share a patient, a study or an image.",
        epilog="examples:\n"
        "  tenstep split studies --out splits.yaml\n"
        "  tenstep split stage1 stage2 --seed 7 --test 0.1 --images --out splits.yaml --pairs pairs.jsonl\n"
        "  tenstep split stage1 stage2 --recipe splits.yaml --ids lists\n"
        "  tenstep split studies --out splits.yaml --stores parts       parts/train to curate, parts/test to sample on",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stores", metavar="STORE", nargs="+", type=Path, help="stores, of all stages that share a test")
    parser.add_argument("--out", metavar="YAML", type=Path, help="where to write the small file that reproduces it")
    parser.add_argument("--recipe", metavar="YAML", type=Path, help="such a file, to be used again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", type=float, default=0.1, help="share of patients (default: 0.1)")
    parser.add_argument("--validate", type=float, default=0.05, help="share of patients (default: 0.05)")
    parser.add_argument("--ignore-published", action="store_true", help="draw anew what sources have split themselves")
    parser.add_argument(
        "--similarity", type=float, default=0.8, help="from here on, two reports count as nearly alike (default: 0.8)"
    )
    parser.add_argument("--images", action="store_true", help="open all images and compare how they look, too")
    parser.add_argument("--pairs", metavar="JSONL", type=Path, help="write the offending pairs here")
    parser.add_argument("--ids", metavar="DIR", type=Path, help="write train.ids, validate.ids and test.ids here")
    parser.add_argument(
        "--stores", dest="parts", metavar="DIR", type=Path, help="write the study stores train, validate and test here"
    )
    add_engine_options(parser)
    parser.set_defaults(run=_split, json_keys=(frozenset({"recipe", "contaminated"}),))


def _split(args: argparse.Namespace) -> Outcome:
    from ..data.splitting.splits import read_splits, recipe_of
    from .split_tables import split_stores

    recipe = (
        read_splits(args.recipe)
        if args.recipe
        else recipe_of(args.seed, args.test, args.validate, published=not args.ignore_published)
    )
    with engine_of(args) as workers, progress(None, "compare") as bar:
        return split_stores(
            args.stores,
            recipe,
            None if args.recipe else args.out,
            similarity=args.similarity,
            images=args.images,
            pairs=args.pairs,
            ids=args.ids,
            parts=args.parts,
            workers=workers,
            kept=args.keep,
            on_progress=bar.advance,
        )
