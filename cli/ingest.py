"""`tenstep ingest`: a source becomes a study store."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from ..schemas.study import DataClass
from .engines import add_engine_options, executor_of
from .places import add_attestation
from .progress import progress

if TYPE_CHECKING:
    from ..data.source import SourceOptions
    from ..data.store.batch import StoreHead
    from ..data.store.studies import StudyStore

_ALWAYS_RESTRICTED = ("mimic-cxr", "chexpert-plus")
_ORDER = ("technique", "view", "findings", "impression", "indication", "comparison", "history")


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep ingest`."""
    from ..data.source import kinds

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
    )
    parser.add_argument("kind", metavar="KIND", help=f"what PATH is: {', '.join(kinds())}")
    parser.add_argument("path", metavar="PATH", type=Path, help="the file or folder to read")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the new store")
    parser.add_argument("--images", metavar="DIR", type=Path, help="folder of the images, if they lie elsewhere")
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
        "--longest-side",
        metavar="PIXELS",
        type=int,
        help="keep copies of this size of larger images, made once, so that curation and training read small files "
        "(default: images as they are; a student of 896 pixels needs no more than 896)",
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
        help="where the data may go, for sources that cannot know it (default: restricted); mimic-cxr and "
        "chexpert-plus are always restricted, open-i is public",
    )
    parser.add_argument(
        "--public-because",
        metavar="REASON",
        help="why data with marks of MIMIC-CXR or CheXpert Plus is public all the same; kept in the store",
    )
    parser.add_argument("--patients", metavar="CSV", type=Path, help="for folders: id, patient_id, perhaps split")
    add_attestation(parser)
    add_engine_options(parser, keeps=False, attests=False)  # the store keeps them
    parser.set_defaults(run=_ingest, json_keys=(frozenset({"store", "seconds"}),))


def _ingest(args: argparse.Namespace) -> Outcome:
    from ..data.columns import Columns
    from ..data.ingest import ingest
    from ..data.processes import cores
    from ..data.recipes import read_recipe
    from ..data.source import SourceOptions

    if args.public_because is not None and len(args.public_because.strip()) < 8:
        raise InputError("--public-because wants a reason in words, which is kept in the store")
    if args.longest_side is not None and args.longest_side < 64:
        raise InputError(f"--longest-side {args.longest_side}: at least 64 pixels, or nothing can be seen")
    options = SourceOptions(
        images=args.images,
        text_only=args.text_only,
        form=args.form,
        data_class=args.data_class or "restricted",
        public_because=args.public_because,
        patients=args.patients,
        columns=read_recipe(args.columns, Columns) if args.columns else Columns(),
        missing_findings=args.missing_findings,
        missing_impression=args.missing_impression,
        one_image=args.one_image,
        longest_side=args.longest_side,
        fewer_views=args.fewer_views,
    )
    started = time.perf_counter()
    data_class: DataClass = args.data_class or ("public" if args.kind == "open-i" else "restricted")
    with executor_of(args, min(2, cores()), data_class=data_class) as executor, progress(None, "ingest") as bar:
        before = 0

        def on_part(rows: int, studies: int, rejected: int, share: float | None) -> None:
            nonlocal before
            total = round(rows / share) if share else None
            bar.advance(rows - before, accepted=studies, rejected=rejected, total=total)
            before = rows

        store = ingest(args.kind, args.path, args.out, options, on_part, executor=executor)
    seconds = time.perf_counter() - started
    notes, failed = _notes(store, options, seconds, by_default=args.data_class is None)
    return Outcome(
        payload={"store": str(store.root), **store.head.model_dump(mode="json"), "seconds": round(seconds, 3)},
        tables=(_table(store.head, args.kind),),
        notes=notes,
        exit_code=2 if failed else 0,
    )


def _table(head: "StoreHead", kind: str) -> Table:
    """Rows read, studies, rejected rows by reason, warnings, views, sections, splits, what is derived, tokens."""
    rows = [("rows read", head.rows), ("studies", head.studies), ("images", head.images)]
    rows += [(f"rejected: {reason}", n) for reason, n in head.rejected.items()]
    rows += [(f"warning: {code}", n) for code, n in head.warnings.items()]
    rows += [(f"view: {view}", n) for view, n in head.views.items()]
    rows += [(f"section: {name}", head.sections[name]) for name in _ORDER if name in head.sections]
    rows += [(f"split: {name}", n) for name, n in head.splits.items()]
    rows += [(f"derived: {name}", n) for name, n in head.derived.items()]
    shown = [(name, f"{n:,}") for name, n in rows]
    if head.studies:
        mean = head.tokens / head.studies
        shown.append(("tokens (words of references)", f"{head.tokens:,}; {mean:.0f} a study, longest {head.longest:,}"))
    return Table(title=f"ingest {kind}", columns=("rows", "count"), rows=tuple(shown))


def _notes(
    store: "StudyStore", options: "SourceOptions", seconds: float, *, by_default: bool = False
) -> tuple[tuple[str, ...], bool]:
    """Lines for people, and whether the source is not what it was said to be."""
    from ..data.ingest import PART_FAILED

    head, failed = store.head, False
    notes = [f"{store.root}: {head.data_class} data, {head.report_form or 'no'} references, {seconds:.1f} s"]
    if head.rejected:
        notes.append(f"rejected rows, each with its reason: {store.root / 'rejected.jsonl'}")
    if head.warnings:
        notes.append(f"warnings, each with its study: {store.root / 'warnings.jsonl'}")
    if head.traces:
        notes.append(f"{head.traces} reports came with steps; judge them: tenstep audit {store.root / 'traces.jsonl'}")
    if by_default and head.data_class == "restricted" and head.source not in _ALWAYS_RESTRICTED:
        notes.append("restricted is the default; data that anybody may have is ingested with --data-class public")
    for name, policy in (("findings", options.missing_findings), ("impression", options.missing_impression)):
        if policy == "require" and (lacking := head.rejected.get(f"no_{name}")):
            notes.append(f"{lacking} studies have no {name}, which was required of all")
            failed = True
    if parts := head.rejected.get(PART_FAILED):
        notes.append(f"{parts} parts of the source could not be read and are missing here: see rejected.jsonl for why")
        failed = True
    if not head.studies:
        why = next((f": {row.row}: {row.detail}" for row in store.rejected()), "")
        notes.append(f"no row became a study{why}")
        failed = True
    return tuple(notes), failed
