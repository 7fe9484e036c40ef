"""`tenstep export`: accepted examples as a folder that a trainer reads; and `tenstep join`."""

import argparse
from pathlib import Path

from ..data.exporter import kinds, load
from ..schemas.errors import InputError
from ..schemas.export import ExportManifest
from ..schemas.outcome import Outcome, Table
from .arguments import given, positive
from .places import add_attestation

_EPILOG = """\
examples:
  tenstep export runs/first --to trl --out dataset          prompt and completion, for SFTTrainer; see dataset/load.py
  tenstep export small --to llama-factory --splits splits.yaml --out dataset
  tenstep export runs/first --to trl-dpo --out pairs        accepted against rejected, of the same study
  tenstep export runs/first --to jsonl --reviewed-only --out read    only what readers have accepted
  tenstep export runs/first --to parquet --out hub          images inside; then: tenstep publish hub

Restricted studies are exported as ids, steps and hashes (records.jsonl); their owner adds the rest with: tenstep join
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    export = commands.add_parser("export", help="a dataset in the form that a trainer reads", epilog=_EPILOG)
    export.add_argument("path", type=Path, metavar="RUN|SELECTION", help="what tenstep curate or tenstep select wrote")
    export.add_argument("--to", required=True, metavar="KIND", help=", ".join(kinds()))
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    export.add_argument("--prompt", metavar="NAME", help="in distill/prompts (default: by the form of report)")
    export.add_argument("--splits", type=Path, metavar="YAML", help="from tenstep split; else the source's own splits")
    export.add_argument("--studies", type=Path, metavar="STORE", help="the run's study store, if it moved")
    of_pairs = [
        export.add_argument(
            "--pairs", type=positive, default=2, metavar="N", help="pairs of a study, at most (default: 2)"
        ),
        export.add_argument("--pairs-of-form", action="store_true", help="pairs also where only the form was wrong"),
    ]
    add_image_options(export)
    export.add_argument("--reviewed-only", action="store_true", help="only what readers have accepted")
    export.add_argument("--include-restricted", action="store_true", help="write restricted reports and images, too")
    add_attestation(export)
    export.set_defaults(run=_export, of_pairs=of_pairs, json_keys=(frozenset({"export", "exporter"}),))


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """What of a study's images goes into a row."""
    images = parser.add_mutually_exclusive_group()
    images.add_argument("--one-image", action="store_true", help="the frontal image alone, for students that take one")
    images.add_argument("--text-only", action="store_true", help="no images")


def _export(args: argparse.Namespace) -> Outcome:
    from ..distill.dataset import export

    if (named := given(args, args.of_pairs)) and load(args.to).pairs == "none":
        raise InputError(f"{', '.join(named)}: {args.to} holds no preference pairs; leave it out", field="--to")
    manifest = export(
        args.path,
        args.to,
        args.out,
        prompt=args.prompt,
        splits=args.splits,
        studies=args.studies,
        pairs=args.pairs,
        pairs_of_form=args.pairs_of_form,
        one_image=args.one_image,
        text_only=args.text_only,
        include_restricted=args.include_restricted,
        reviewed_only=args.reviewed_only,
    )
    return outcome(args.out, manifest)


def outcome(out: Path, manifest: ExportManifest) -> Outcome:
    """What was written."""
    rows: list[tuple[str, str]] = [(split, f"{n:,}") for split, n in manifest.rows.items()]
    rows += [("patients", f"{manifest.patients:,}"), ("images", f"{manifest.images:,}")]
    if manifest.pairs.made or manifest.pairs.dropped:
        rows += [("preference pairs", f"{manifest.pairs.made:,}")]
        rows += [(f"  none: {why}", f"{n:,}") for why, n in manifest.pairs.dropped.items()]
    files = ", ".join(list(manifest.files)[:8]) + (" ..." if len(manifest.files) > 8 else "")
    notes = [f"{out}: {files}; README.md, croissant.json"]
    if not manifest.complete:
        notes.append(
            "the studies are restricted: ids, steps and hashes only; whoever has them makes the rest with "
            f"tenstep join {out} --studies STORE --out DIR (or export with --include-restricted, to stay here)"
        )
    return Outcome(
        payload={"export": str(out), **manifest.model_dump(mode="json")},
        tables=(Table(title=f"export as {manifest.exporter}", columns=("", "rows"), rows=tuple(rows)),),
        notes=tuple(notes),
        private=manifest.data_class == "restricted",
    )
