"""`tenstep ingest`, `tenstep split` and `tenstep sections`, and the progress bar that every room uses."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, Unpack

from ..schemas.outcome import Outcome, Table


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep ingest`, `tenstep split` and `tenstep sections`."""
    from .source import kinds

    parser = commands.add_parser(
        "ingest",
        help="read a source into a study store",
        description="Read a source into a study store: images checked, references fixed, bad rows kept with reasons. "
        "An ingest that was cut off goes on when the same command is given again.",
        epilog="examples:\n"
        "  tenstep ingest open-i NLMCXR_reports.tgz --text-only --out studies\n"
        "  tenstep ingest open-i NLMCXR_reports.tgz --images NLMCXR_png --out studies\n"
        "  tenstep ingest mimic-cxr mimic-cxr-2.1.0 --images mimic-cxr-jpg-2.1.0 --out studies\n"
        "  tenstep ingest chexpert-plus df_chexpert_plus_240401.csv --images PNG --out studies\n"
        "  tenstep ingest csv pairs.csv --columns columns.yaml --one-image canvas --out studies\n"
        "  tenstep ingest folders my-studies --form four-header --out studies",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", metavar="KIND", help=f"what PATH is: {', '.join(kinds())}")
    parser.add_argument("path", metavar="PATH", type=Path, help="the file or folder to read")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the new store")
    parser.add_argument("--images", metavar="DIR", type=Path, help="folder of the images, if they lie apart")
    parser.add_argument("--text-only", action="store_true", help="reports without pixels; no image is opened")
    parser.add_argument(
        "--form",
        choices=("four-header", "verbatim"),
        help="the reference as Technique, View, Findings, Impression, or as the source has it "
        "(default: four-header for open-i, mimic-cxr and chexpert-plus, verbatim for the others)",
    )
    for name in ("findings", "impression"):
        parser.add_argument(
            f"--missing-{name}",
            choices=("require", "allow", "reject"),
            default="reject",
            help=f"studies without {name} in the four-header form: rejected and counted; kept, saying that it was not "
            "reported; or rejected, and the command fails at its end because the source should have had them",
        )
    parser.add_argument(
        "--one-image",
        choices=("frontal-first", "canvas"),
        help="one image a study: its first frontal view, or all views side by side (default: all, as they are)",
    )
    parser.add_argument(
        "--fewer-views",
        choices=("warn", "reject"),
        default="warn",
        help="studies whose report is about more views than they have images of (default: warn)",
    )
    parser.add_argument("--columns", metavar="YAML", type=Path, help="for csv and hf: which column is what")
    parser.add_argument(
        "--data-class",
        choices=("public", "restricted"),
        default="restricted",
        help="where the data may go, for sources that cannot know it (default: restricted); mimic-cxr and "
        "chexpert-plus are always restricted, open-i is public",
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, default=0, help="processes (default: one a core, but at most two)"
    )
    parser.set_defaults(run=_ingest)

    parser = commands.add_parser(
        "sections",
        help="the sections of MIMIC-CXR reports, by the official rules",
        description="Split MIMIC-CXR report files into sections exactly as the official script does. Studies that it "
        "sections by hand are known by their file's name (s50913680.txt) and get an 'override' beside the sections.",
        epilog="examples:\n"
        "  tenstep sections files/p10/p10000032/s50414267.txt\n"
        "  tenstep sections files/p10/p10000032/*.txt --json sections.jsonl",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="report files, as MIMIC-CXR has them")
    parser.set_defaults(run=_sections)

    parser = commands.add_parser(
        "split",
        help="train, validate and test by patient, and what they share",
        description="Split study stores by patient, seeded; splits that a source has published are kept, so every "
        "source has its own held-out test. Then look for what train shares with the held-out studies, across all "
        "stores: patients, studies, reports, images, exactly and nearly. Exit code 2 if a test would be none.",
        epilog="examples:\n"
        "  tenstep split studies --out splits.yaml\n"
        "  tenstep split stage1 stage2 --seed 7 --test 0.1 --images --out splits.yaml --pairs pairs.jsonl\n"
        "  tenstep split stage1 stage2 --recipe splits.yaml --ids lists",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stores", metavar="STORE", nargs="+", type=Path, help="stores, of all stages that share a test")
    parser.add_argument("--out", metavar="YAML", type=Path, help="where to write the small file that reproduces it")
    parser.add_argument("--recipe", metavar="YAML", type=Path, help="such a file, to be used again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", type=float, default=0.1, help="share of patients (default: 0.1)")
    parser.add_argument("--validate", type=float, default=0.05, help="share of patients (default: 0.05)")
    parser.add_argument("--ignore-published", action="store_true", help="draw anew what sources have split themselves")
    parser.add_argument("--similarity", type=float, default=0.8, help="of near reports, at least (default: 0.8)")
    parser.add_argument("--images", action="store_true", help="open all images and compare how they look, too")
    parser.add_argument("--pairs", metavar="JSONL", type=Path, help="write the offending pairs here")
    parser.add_argument("--ids", metavar="DIR", type=Path, help="write train.ids, validate.ids and test.ids here")
    parser.set_defaults(run=_split)


def _split(args: argparse.Namespace) -> Outcome:
    from .split_outcome import split
    from .splitting.splits import read_splits, recipe_of

    recipe = (
        read_splits(args.recipe)
        if args.recipe
        else recipe_of(args.seed, args.test, args.validate, published=not args.ignore_published)
    )
    with progress(None, "compare") as bar:
        return split(
            args.stores,
            recipe,
            None if args.recipe else args.out,
            similarity=args.similarity,
            images=args.images,
            pairs=args.pairs,
            ids=args.ids,
            told=bar.advance,
        )


def _sections(args: argparse.Namespace) -> Outcome:
    from .intake.mimic_files import sections_of_file

    records = [sections_of_file(file) for file in args.files]
    bad = [record for record in records if "error" in record]
    rows = [
        (record["file"], name, " ".join(text.split())) if text else (record["file"], name, "-")
        for record in records
        for name, text in (record["sections"] or {}).items()
    ]
    return Outcome(
        records=tuple(records),
        tables=(Table(title="sections", columns=("file", "section", "text"), rows=tuple(rows)),),
        notes=tuple(f"{record['file']}: {record['error']}" for record in bad),
        exit_code=2 if bad else 0,
    )


def _ingest(args: argparse.Namespace) -> Outcome:
    from .columns import Columns
    from .ingest import ingest
    from .ingest_table import notes_of, table_of
    from .recipes import read_recipe
    from .source import Options

    options = Options(
        images=args.images,
        text_only=args.text_only,
        form=args.form,
        data_class=args.data_class,
        columns=read_recipe(args.columns, Columns) if args.columns else Columns(),
        missing_findings=args.missing_findings,
        missing_impression=args.missing_impression,
        one_image=args.one_image,
        fewer_views=args.fewer_views,
    )
    started = time.perf_counter()
    with progress(None, "ingest") as bar:
        before = 0

        def told(rows: int, studies: int, rejected: int, share: float | None) -> None:
            nonlocal before
            total = round(rows / share) if share else None
            bar.advance(rows - before, accepted=studies, rejected=rejected, total=total)
            before = rows

        workers = args.workers if args.workers > 0 else min(2, len(os.sched_getaffinity(0)))
        store = ingest(args.kind, args.path, args.out, options, told, workers=workers)
    seconds = time.perf_counter() - started
    notes, failed = notes_of(store, options, seconds)
    return Outcome(
        payload={"store": str(store.root), **store.head.model_dump(mode="json"), "seconds": round(seconds, 3)},
        tables=(table_of(store.head, args.kind),),
        notes=notes,
        exit_code=2 if failed else 0,
    )


class Told(TypedDict, total=False):
    """What a user is told beside how far the work is: totals so far, where they are known."""

    accepted: int | None
    rejected: int | None
    spend_usd: float | None
    total: int | None  # how many there will be, if that is known only now


class Progress:
    """What a command tells its user while it works. This one tells nothing: nobody is watching."""

    def advance(self, n: int = 1, **told: Unpack[Told]) -> None:
        """`n` more are done."""


@contextmanager
def progress(total: int | None, label: str) -> Iterator[Progress]:
    """A bar with rate, accepted and rejected, spend and time left, on stderr if that is a terminal; else nothing.

    Args:
        total: how many there will be, if known.
        label: what is being done, e.g. "ingest".
    """
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(compact=True),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, told="")

        class Shown(Progress):
            def advance(self, n: int = 1, **told: Unpack[Told]) -> None:
                if told.get("total") is not None:
                    bar.update(task, total=told["total"])
                bar.advance(task, n)
                speed, spend_usd = bar.tasks[task].speed, told.get("spend_usd")
                accepted, rejected = told.get("accepted"), told.get("rejected")
                parts = (
                    (speed, f"{speed or 0:.1f}/s"),
                    (accepted, f"[green]{accepted} accepted[/green]"),
                    (rejected, f"[red]{rejected} rejected[/red]"),
                    (spend_usd, f"${spend_usd or 0:.2f}"),
                )
                bar.update(task, told="  ".join(text for value, text in parts if value is not None))

        yield Shown()
