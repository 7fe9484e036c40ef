"""`tenstep merge`."""

import argparse
from pathlib import Path

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import positive
from .progress import progress

_EXAMPLES = """\
examples:
  tenstep merge student --out merged                                   fp16
  tenstep merge student --out merged4 --precision nf4                  4-bit
  tenstep merge student --out merged --studies unseen --rows 50 --license llama3.2
  tenstep merge student --out merged --gguf llama.cpp/convert_hf_to_gguf.py

merged weights are written only if they predict as base and adapter do, shown the same answers
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep merge`."""
    parser = commands.add_parser("merge", help="make standalone weights of base and adapter", epilog=_EXAMPLES)
    parser.add_argument("model", type=Path, metavar="STUDENT", help="what tenstep distill wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--precision", choices=("fp16", "bf16", "nf4"), default="fp16", help="of the weights (fp16)")
    parser.add_argument(
        "--studies", type=Path, metavar="STORE", help="to compare on (default: those it was trained on)"
    )
    parser.add_argument("--rows", type=positive, default=20, metavar="K", help="studies to compare on (20)")
    parser.add_argument(
        "--agree",
        type=float,
        metavar="SHARE",
        help="least share of tokens with the same likeliest token, in place of the tolerances (fp16 0.97, nf4 0.85)",
    )
    parser.add_argument("--license", metavar="ID", help="of the result, for its model card, e.g. llama3.2")
    parser.add_argument("--gguf", type=Path, metavar="SCRIPT", help="llama.cpp's converter: write GGUF as well")
    parser.set_defaults(run=_merge, json_keys=(frozenset({"out", "precision"}),))


def _merge(args: argparse.Namespace) -> Outcome:
    from ..distill.publish.merge import merge

    if not 0 <= (args.agree or 0) <= 1:
        raise InputError("is not a share from 0 to 1", field="--agree")
    with progress(5, "merge") as bar:
        card = merge(
            args.model,
            args.out,
            precision=args.precision,
            studies=args.studies,
            rows=args.rows,
            agree=args.agree,
            licence=args.license,
            gguf=args.gguf,
            on_progress=lambda _what: bar.advance(),
        )
    rows = (
        ("student", card.model),
        ("same likeliest token", f"{card.top1 or 0:.1%} of the tokens of {card.rows} answers"),
        ("divergence", f"{card.kl or 0:.4f} nats a token"),
        ("same findings", f"{card.same_findings or 0:.0%} of the answers"),
        ("same greedy answers", f"{card.equal} of {card.rows}"),
        ("tokens before the first difference", f"{card.agreement:.1%}"),
        ("training data", f"{', '.join(card.sources) or 'not at hand'}{', restricted' if card.restricted else ''}"),
    )
    notes = (
        f"{args.out}: merged; ask it with: tenstep infer IMAGE --model {args.out}",
        f"{args.out / 'README.md'}: the model card, from the run card",
    )
    payload = {"out": str(args.out), **card.model_dump(mode="json")}
    return Outcome(payload=payload, tables=(Table(title="merge", columns=("", ""), rows=rows),), notes=notes)
