"""`tenstep split`: train, validate and test by patient, and what they share."""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.files import replacing
from ..data.statistics import read_share
from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import given
from .engines import add_engine_options, executor_of
from .progress import progress

if TYPE_CHECKING:
    from ..data.splitting.contamination import Contamination
    from ..data.splitting.splits import SplitRecipe
    from ..data.store.studies import StudyStore

_SHOWN = 20  # pairs


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
    )
    parser.add_argument("stores", metavar="STORE", nargs="+", type=Path, help="stores, of all stages that share a test")
    parser.add_argument("--recipe", metavar="YAML", type=Path, help="such a file, to be used again")
    drawn = [
        parser.add_argument(
            "--out", metavar="YAML", type=Path, help="where to write the small file that reproduces it"
        ),
        parser.add_argument("--seed", type=int, default=0),
        parser.add_argument("--test", type=float, default=0.1, help="share of patients (default: 0.1)"),
        parser.add_argument("--validate", type=float, default=0.05, help="share of patients (default: 0.05)"),
        parser.add_argument(
            "--ignore-published", action="store_true", help="draw anew what sources have split themselves"
        ),
    ]
    parser.add_argument(
        "--similarity",
        type=read_share,
        default=0.8,
        help="from here on, two reports count as nearly alike (default: 0.8)",
    )
    parser.add_argument("--images", action="store_true", help="open all images and compare how they look, too")
    parser.add_argument("--pairs", metavar="JSONL", type=Path, help="write the offending pairs here")
    parser.add_argument("--ids", metavar="DIR", type=Path, help="write train.ids, validate.ids and test.ids here")
    parser.add_argument(
        "--stores", dest="parts", metavar="DIR", type=Path, help="write the study stores train, validate and test here"
    )
    add_engine_options(parser)
    parser.set_defaults(run=_split, drawn=drawn, json_keys=(frozenset({"recipe", "contaminated"}),))


def _split(args: argparse.Namespace) -> Outcome:
    from ..data.splitting.contamination import StudyInSplit, contamination
    from ..data.splitting.splits import SPLITS, read_splits, recipe_of, resolve, write_splits
    from ..data.store.studies import StudyStore

    if args.recipe and (over := given(args, args.drawn)):
        raise InputError(f"says how to split already; leave out {', '.join(over)}, or --recipe", file=args.recipe)
    recipe = (
        read_splits(args.recipe)
        if args.recipe
        else recipe_of(args.seed, args.test, args.validate, published=not args.ignore_published)
    )
    out: Path | None = args.out
    stores = [StudyStore.open(root) for root in args.stores]
    _must_be_new(out, args.pairs, args.ids, args.parts)
    resolved = resolve(recipe, stores)

    def every() -> Iterator[StudyInSplit]:
        for store in stores:
            for study in store:
                yield StudyInSplit(study, store.path_of, resolved.of(study) != "train")

    with executor_of(args, reads=args.stores) as executor, progress(None, "compare") as bar:
        found = contamination(
            every,
            similarity=args.similarity,
            images=args.images,
            executor=executor,
            on_progress=bar.advance,
        )
    private = any(store.data_class == "restricted" for store in stores)
    if args.parts is not None:
        _write_stores(resolved, stores, args.parts)
    if args.pairs is not None:
        _write(args.pairs, (json.dumps(pair._asdict(), ensure_ascii=False) for pair in found.pairs), private=private)
    if args.ids is not None:
        args.ids.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        for name in SPLITS:
            named = (study.id for store in stores for study in store if resolved.of(study) == name)
            _write(args.ids / f"{name}.ids", dict.fromkeys(named), private=private)
    if out is not None:
        write_splits(resolved, out)
    return _outcome(resolved, found, out).model_copy(update={"private": private})


def _must_be_new(out: Path | None, pairs: Path | None, ids: Path | None, parts: Path | None) -> None:
    from ..data.splitting.splits import SPLITS

    if out is not None and out.exists():
        raise InputError("exists; give another --out, or use it again with --recipe", file=out)
    if out is not None and pairs is not None and out.resolve() == pairs.resolve():
        raise InputError("is named by --out and --pairs; give another --pairs", file=out)
    if pairs is not None and pairs.exists():
        raise InputError("exists; remove it, or give another --pairs", file=pairs)
    if ids is not None and (found_ids := [name for name in SPLITS if (ids / f"{name}.ids").exists()]):
        raise InputError("exists; remove it, or give another --ids", file=ids / f"{found_ids[0]}.ids")
    if parts is not None and (there := [name for name in SPLITS if (parts / name).exists()]):
        raise InputError("exists; remove it, or give another --stores", file=parts / there[0])


def _write_stores(recipe: "SplitRecipe", stores: "Sequence[StudyStore]", folder: Path) -> None:
    """A store of each split that has studies; a study that several stores hold is written once."""
    from ..data.splitting.splits import SPLITS
    from ..data.store.studies import StudyStore

    for name in SPLITS:
        held = {study.id: store for store in stores for study in store if recipe.of(study) == name}
        if held:
            with StudyStore.create(folder / name, "split") as writer:
                for study_id, store in held.items():
                    writer.add(store.with_full_paths(store.get(study_id)))


def _outcome(recipe: "SplitRecipe", found: "Contamination", out: Path | None) -> Outcome:
    from ..data.splitting.contamination import ERRORS, KINDS, LISTED
    from ..data.splitting.splits import SPLITS

    sources = Table(
        title="studies (patients)",
        columns=("source", "published", *SPLITS),
        rows=tuple(
            (
                name,
                ", ".join(s.published) or "-",
                *(f"{s.studies[split]:,} ({s.patients[split]:,})" for split in SPLITS),
            )
            for name, s in recipe.sources.items()
        ),
    )
    shared = Table(
        title="shared by train and held-out studies",
        columns=("what", "pairs", ""),
        rows=tuple((kind, f"{found.counts[kind]:,}", "error" if kind in ERRORS else "warning") for kind in KINDS),
    )
    first = [pair for kind in KINDS for pair in found.pairs if pair.kind == kind][:_SHOWN]
    listed = Table(title="pairs", columns=("what", "train", "held out", "detail"), rows=tuple(tuple(p) for p in first))
    notes = [] if out is None else [f"{out}: reproduces this with --recipe {out}"]
    if len(found.pairs) > _SHOWN:
        notes.append(f"the first {_SHOWN} pairs are shown; --json and --pairs give the first {LISTED} of each kind")
    if found.contaminated:
        notes.append("contaminated: the held-out studies above are no test of what learns from these; take them out")
    return Outcome(
        payload={
            "recipe": recipe.model_dump(mode="json", by_alias=True),
            "contaminated": found.contaminated,
            "counts": found.counts,
            "pairs": [pair._asdict() for pair in found.pairs],
        },
        tables=(sources, shared, *((listed,) if first else ())),
        notes=tuple(notes),
        exit_code=2 if found.contaminated else 0,
    )


def _write(path: Path, lines: Iterable[str], *, private: bool) -> None:
    with replacing(path, private=private) as file:
        file.writelines(f"{line}\n" for line in lines)
