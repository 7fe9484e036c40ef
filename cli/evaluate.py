"""`tenstep evaluate`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import positive
from .progress import progress

if TYPE_CHECKING:
    from ..distill.evaluate.radeval import RadEval

_EXAMPLES = """\
examples:
  tenstep evaluate runs/sample --out evaluation
  tenstep evaluate runs/stage2 --against runs/base runs/stage1 --out evaluation        base, stage 1 and stage 2
  tenstep evaluate pairs.jsonl --implementation both --out evaluation
  tenstep evaluate runs/sample --bertscore encoders/roberta-large --bertscore-layer 17 --out evaluation
  tenstep evaluate runs/sample --chexbert chexbert.pth --chexbert-tokenizer bert-base-uncased --out evaluation
  tenstep evaluate runs/sample --radgraph weights/radgraph --ratescore weights/ner weights/biolord \\
                   --radeval-python /envs/radeval/bin/python
  tenstep evaluate runs/sample --external 'Mine=/envs/mine/bin/python score.py' --external-stays-local

a JSONL file has id, hypothesis, reference and optionally patient_id on each line; nothing is downloaded. Without --out
the figures lie in RUN/evaluation, where the run's pages show them; for a model card: tenstep publish --evaluation
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep evaluate`."""
    parser = commands.add_parser(
        "evaluate", help="measure a student's reports against the references", epilog=_EXAMPLES
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a sampling run, or a JSONL file")
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="others, on the same studies: paired tests",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="tables, plots and evaluation.json (RUN/evaluation)")
    parser.add_argument("--temperature", type=float, metavar="T", help="which answers of a run with several")
    parser.add_argument(
        "--implementation",
        choices=("auto", "coco", "python", "both"),
        default="auto",
        help="of BLEU, ROUGE-L and METEOR: pycocoevalcap with Java, or Python packages (auto: coco where it can run)",
    )
    parser.add_argument(
        "--preprocessing",
        choices=("ptb", "clean", "none"),
        default="ptb",
        help="of texts for coco: Penn Treebank tokens, lower case without punctuation, or nothing (ptb)",
    )
    parser.add_argument("--bertscore", type=Path, metavar="DIR", help="a local encoder; adds BERTScore-F1")
    parser.add_argument("--bertscore-layer", type=positive, metavar="N", help="its hidden layer (the last)")
    parser.add_argument("--chexbert", type=Path, metavar="FILE", help="your chexbert.pth; adds CheXbert-F1")
    parser.add_argument("--chexbert-tokenizer", type=Path, metavar="DIR", help="bert-base-uncased's tokenizer")
    parser.add_argument("--radgraph", type=Path, metavar="DIR", help="holds radgraph-xl/; adds RadGraph-F1 by RadEval")
    parser.add_argument(
        "--ratescore", type=Path, nargs=2, metavar=("NER", "ENCODER"), help="two models' folders; adds RaTEScore"
    )
    parser.add_argument("--green", type=Path, metavar="DIR", help="GREEN's model; adds GREEN")
    parser.add_argument(
        "--radeval-python", type=Path, metavar="FILE", help="Python of the environment that has radeval (this one)"
    )
    parser.add_argument(
        "--external", action="append", default=[], metavar="NAME=COMMAND", help="a metric in its own environment"
    )
    parser.add_argument(
        "--external-stays-local",
        action="store_true",
        help="you state that these commands send nothing anywhere; needed unless the texts are known to be public",
    )
    parser.add_argument(
        "--by",
        nargs="+",
        choices=("section", "stratum"),
        default=[],
        help="also for findings and impression, or for normal and abnormal studies",
    )
    parser.add_argument(
        "--unanswered",
        choices=("empty", "exclude"),
        default="empty",
        help="studies without an answer count as empty answers, or are left out (empty)",
    )
    parser.add_argument("--resamples", type=positive, default=2000, metavar="N", help="draws of patients (2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=_evaluate, json_keys=(frozenset({"out", "student"}),))


def _evaluate(args: argparse.Namespace) -> Outcome:
    from ..data.evaluations import FOLDER, columns
    from ..distill.evaluate import coco
    from ..distill.evaluate.evaluation import EvaluateOptions, evaluate
    from ..distill.evaluate.external import parse
    from ..distill.evaluate.inputs import read_all
    from ..distill.evaluate.table import check_out, preprocessings, table_rows, write

    for part, whole in (("bertscore_layer", "bertscore"), ("chexbert_tokenizer", "chexbert")):
        if getattr(args, part) is not None and getattr(args, whole) is None:
            raise InputError(f"belongs to --{whole}; add that", field=f"--{part.replace('_', '-')}")
    if args.resamples < 100:
        raise InputError("fewer than 100 draws say nothing; give 100 or more", field="--resamples")
    _check_used(args, coco.missing())
    options = EvaluateOptions(
        implementation=args.implementation,
        preprocessing=args.preprocessing,
        bertscore=args.bertscore,
        bertscore_layer=args.bertscore_layer,
        chexbert=args.chexbert,
        chexbert_tokenizer=args.chexbert_tokenizer,
        radeval=_radeval(args),
        external=tuple(parse(text) for text in args.external),
        external_stays_local=args.external_stays_local,
        by=tuple(args.by),
        resamples=args.resamples,
        seed=args.seed,
    )
    if args.out is None and args.source.is_file():
        raise InputError("say with --out where the figures of a file go", field="--out")
    out = args.out or args.source / FOLDER
    check_out(out)
    source, *others = read_all([args.source, *args.against], args.temperature, args.unanswered)
    with progress(None, "evaluate") as bar:
        evaluation = evaluate(source, options, others, on_progress=lambda _what: bar.advance())
    files = write(evaluation, out)
    heads = (*columns(evaluation), "implementation")
    return Outcome(
        payload={"out": str(out), **evaluation.model_dump(mode="json")},
        tables=(Table(title="evaluate", columns=heads, rows=tuple(table_rows(evaluation))),),
        notes=(*preprocessings(evaluation), *evaluation.notes, f"{out}: {', '.join(file.name for file in files)}"),
    )


def _check_used(args: argparse.Namespace, no_coco: str | None) -> None:
    """Raises:
    InputError: an option is about what is not measured, or not read.
    """
    if args.bertscore_layer and not args.bertscore:
        raise InputError("is a layer of an encoder; name it with --bertscore", field="--bertscore-layer")
    if args.chexbert_tokenizer and not args.chexbert:
        raise InputError("is CheXbert's; name its weights with --chexbert", field="--chexbert-tokenizer")
    python = args.implementation == "python" or (args.implementation == "auto" and no_coco is not None)
    if args.preprocessing != "ptb" and python:
        why = f" ({no_coco})" if no_coco else ""
        raise InputError(f"is of pycocoevalcap, which is not used here{why}; leave it out", field="--preprocessing")
    files = all(path.is_file() for path in (args.source, *args.against))
    for name, given in (("--temperature", args.temperature is not None), ("--unanswered", args.unanswered != "empty")):
        if given and files:
            raise InputError("is about a sampling run, and a file is named; leave it out", field=name)


def _radeval(args: argparse.Namespace) -> "RadEval | None":
    from ..distill.evaluate.radeval import RadEval

    if not (args.radgraph or args.ratescore or args.green):
        if args.radeval_python:
            raise InputError("which scores? add --radgraph, --ratescore or --green", field="--radeval-python")
        return None
    python = {"python": args.radeval_python} if args.radeval_python else {}
    return RadEval(args.radgraph, tuple(args.ratescore) if args.ratescore else None, args.green, **python)
