"""`tenstep publish`."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome, Table

_EXAMPLES = """\
examples:
  tenstep publish merged --license llama3.2                          what would leave, and what keeps it here
  tenstep publish student --license llama3.2 --out to-push           the same, put together for: hf upload REPO to-push
  tenstep publish merged --license llama3.2 --studies mimic-studies  where restricted text is looked for

nothing is sent, here or anywhere in tenstep
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep publish`."""
    parser = commands.add_parser("publish", help="look through what would be published, offline", epilog=_EXAMPLES)
    parser.add_argument("model", type=Path, metavar="MODEL", help="what tenstep distill or tenstep merge wrote")
    parser.add_argument("--license", metavar="ID", help="of the weights, e.g. llama3.2; the model card's if not given")
    parser.add_argument("--studies", type=Path, metavar="STORE", help="the studies it was trained on, if they moved")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a new folder for what may leave")
    parser.set_defaults(run=_publish, json_keys=(frozenset({"allowed", "problems"}),))


def _publish(args: argparse.Namespace) -> Outcome:
    from ..distill.publish.publishing import publish

    package = publish(args.model, licence=args.license, studies=args.studies, out=args.out)
    problems = package.problems
    files = Table(
        title="would leave" if not problems else "would leave, if nothing kept it here",
        columns=("file", "bytes", "SHA-256"),
        rows=tuple((file.name, f"{file.size:,}", file.sha256[:16]) for file in package.files),
    )
    kept = Table(title="refused", columns=("file", "why", ""), rows=tuple(tuple(problem) for problem in problems))
    notes = [f"looked for the text of {package.searched:,} reports; weights may still remember what they learned"]
    if package.restricted:
        notes.append("trained on restricted data: push only where their terms allow, see the model card")
    if problems:
        notes.append("refused: nothing was written")
    elif args.out:
        notes.append(f"{args.out}: ready; to push it: hf upload REPO {args.out}")
    else:
        notes.append("nothing keeps it here; put it together with --out DIR")
    return Outcome(
        payload={
            "allowed": not problems,
            "problems": [problem._asdict() for problem in problems],
            "files": [file._asdict() for file in package.files],
            "restricted": package.restricted,
            "searched": package.searched,
            "out": str(args.out) if args.out and not problems else None,
        },
        tables=(files, kept) if problems else (files,),
        notes=tuple(notes),
        exit_code=2 if problems else 0,
    )
