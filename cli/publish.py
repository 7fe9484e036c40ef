"""`tenstep publish`."""

import argparse
from pathlib import Path

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import given

_EXAMPLES = """\
examples:
  tenstep publish merged --license llama3.2                          what would be published, and what forbids it
  tenstep publish student --license llama3.2 --out to-push           the same, put together for: hf upload REPO to-push
  tenstep publish merged --license llama3.2 --studies mimic-studies  where restricted text is looked for
  tenstep publish merged --license llama3.2 --evaluation runs/sample/evaluation --out to-push      figures in its card
  tenstep publish dataset --license cc-by-4.0                        a dataset of tenstep export, in the same way
  tenstep publish dataset --license cc-by-4.0 --push OWNER/NAME      to the hub, private; token: HF_TOKEN or hf auth

nothing is sent without --push; restricted data never are
"""


_SHOWN = 40  # files in the table


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep publish`."""
    parser = commands.add_parser("publish", help="look through what would be published, offline", epilog=_EXAMPLES)
    parser.add_argument("model", type=Path, metavar="FOLDER", help="what tenstep distill, merge or export wrote")
    parser.add_argument("--license", metavar="ID", help="e.g. llama3.2; of weights, the model card's if not given")
    of_folder = [
        parser.add_argument(
            "--studies", type=Path, metavar="STORE", help="the studies it was trained on, if they moved"
        ),
        parser.add_argument(
            "--evaluation", type=Path, nargs="+", default=[], metavar="DIR", help="of this model, for its card"
        ),
        parser.add_argument("--out", type=Path, metavar="DIR", help="a new folder for what may be published"),
    ]
    parser.add_argument("--push", metavar="OWNER/NAME", help="a dataset, to the hub, into a private repository")
    of_push = [
        parser.add_argument(
            "--public", action="store_true", help="with --push: a new repository that anybody can read"
        ),
        parser.add_argument("--endpoint", metavar="URL", help="with --push: another hub"),
    ]
    parser.set_defaults(
        run=_publish, of_folder=of_folder, of_push=of_push, json_keys=(frozenset({"allowed", "problems"}),)
    )


def _publish(args: argparse.Namespace) -> Outcome:
    from ..distill.publish import dataset_publishing, publishing

    dataset = dataset_publishing.is_dataset(args.model)
    if args.push is None and (named := given(args, args.of_push)):
        raise InputError(f"{', '.join(named)}: only with --push")
    if args.push is not None:
        return _push(args, dataset=dataset)
    package: publishing.Package
    if dataset:
        if args.evaluation:
            raise InputError(
                "is a dataset, and an evaluation is of a model; leave it out", file=args.model, field="--evaluation"
            )
        package = dataset_publishing.publish(args.model, licence=args.license, studies=args.studies, out=args.out)
    else:
        package = publishing.publish(
            args.model, licence=args.license, studies=args.studies, evaluations=args.evaluation, out=args.out
        )
    problems = package.problems
    files = Table(
        title="would be published" if not problems else "would be published, if nothing forbade it",
        columns=("file", "bytes", "SHA-256"),
        rows=tuple((file.name, f"{file.size:,}", file.sha256[:16]) for file in package.files[:_SHOWN]),
    )
    kept = Table(title="refused", columns=("file", "why", ""), rows=tuple(tuple(problem) for problem in problems))
    notes = [f"and {len(package.files) - _SHOWN:,} more files"] if len(package.files) > _SHOWN else []
    if dataset:
        notes += [f"looked for the text of {package.searched:,} restricted reports"] if package.restricted else []
    else:
        notes += [f"looked for the text of {package.searched:,} reports; weights may still remember what they learned"]
    if package.restricted:
        notes.append("made from restricted data: share it only where their terms allow, see its card")
    if problems:
        notes.append("refused: nothing was written")
    elif args.out:
        kind = " --repo-type dataset" if dataset else ""
        notes.append(f"{args.out}: ready; to push it: hf upload REPO {args.out}{kind}")
    else:
        notes.append("nothing forbids it; put it together with --out DIR")
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


def _push(args: argparse.Namespace, *, dataset: bool) -> Outcome:
    from ..distill.publish.dataset_publishing import push

    if not dataset:
        raise InputError("--push is for datasets; put a model together with --out, then: hf upload", file=args.model)
    if named := given(args, args.of_folder):
        raise InputError(f"{', '.join(named)}: not with --push, which sends the dataset as it lies there")
    if not args.license:
        raise InputError("--push needs --license: what may others do with it?")
    url = push(args.model, args.push, licence=args.license, private=not args.public, endpoint=args.endpoint)
    return Outcome(payload={"allowed": True, "problems": [], "pushed": url}, notes=(f"pushed to {url}",))
