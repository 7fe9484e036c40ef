"""`tenstep evaluate`."""

import argparse
from pathlib import Path

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .progress import progress

_EXAMPLES = """\
examples:
  tenstep evaluate runs/sample --out evaluation
  tenstep evaluate runs/stage2 --against runs/stage1 --out evaluation
  tenstep evaluate pairs.jsonl --implementation both --out evaluation
  tenstep evaluate runs/sample --bertscore encoders/roberta-large --bertscore-layer 17 --out evaluation
  tenstep evaluate runs/sample --chexbert chexbert.pth --chexbert-tokenizer bert-base-uncased --out evaluation
  tenstep evaluate runs/sample --external 'RadGraph=/envs/radgraph/bin/python score.py' --out evaluation

a JSONL file has id, hypothesis, reference and perhaps patient_id on each line; nothing is ever fetched
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep evaluate`."""
    parser = commands.add_parser(
        "evaluate", help="measure a student's reports against the references", epilog=_EXAMPLES
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a sampling run, or a JSONL file")
    parser.add_argument("--against", type=Path, metavar="SOURCE", help="another student on the same studies: a test")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="tables, plots and evaluation.json")
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
    parser.add_argument("--bertscore-layer", type=int, metavar="N", help="its hidden layer (the last)")
    parser.add_argument("--chexbert", type=Path, metavar="FILE", help="your chexbert.pth; adds CheXbert-F1")
    parser.add_argument("--chexbert-tokenizer", type=Path, metavar="DIR", help="bert-base-uncased's tokenizer")
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
    parser.add_argument("--resamples", type=int, default=2000, metavar="N", help="draws of patients (2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=_evaluate, json_keys=(frozenset({"out", "student"}),))


def _evaluate(args: argparse.Namespace) -> Outcome:
    from ..distill.evaluate.evaluation import Options, evaluate
    from ..distill.evaluate.external import parse
    from ..distill.evaluate.inputs import read
    from ..distill.evaluate.table import check_out, preprocessings, table_rows, write

    if args.resamples < 100:
        raise InputError("fewer than 100 draws say nothing", field="resamples")
    options = Options(
        implementation=args.implementation,
        preprocessing=args.preprocessing,
        bertscore=args.bertscore,
        bertscore_layer=args.bertscore_layer,
        chexbert=args.chexbert,
        chexbert_tokenizer=args.chexbert_tokenizer,
        external=tuple(parse(text) for text in args.external),
        external_stays_local=args.external_stays_local,
        by=tuple(args.by),
        resamples=args.resamples,
        seed=args.seed,
    )
    check_out(args.out)
    source = read(args.source, args.temperature, args.unanswered)
    against = read(args.against, args.temperature, args.unanswered) if args.against else None
    with progress(None, "evaluate") as bar:
        evaluation = evaluate(source, options, against, on_progress=lambda _what: bar.advance())
    files = write(evaluation, args.out)
    columns = ["part", "metric", source.name, *([against.name, "difference", "p"] if against else []), "implementation"]
    return Outcome(
        payload={"out": str(args.out), **evaluation.model_dump(mode="json")},
        tables=(Table(title="evaluate", columns=tuple(columns), rows=tuple(table_rows(evaluation))),),
        notes=(*preprocessings(evaluation), *evaluation.notes, f"{args.out}: {', '.join(file.name for file in files)}"),
    )
