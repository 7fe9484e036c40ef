"""`tenstep sample`: sample a student, or a base, on studies, and judge its answers."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import not_negative, positive
from .progress import progress

if TYPE_CHECKING:
    from ..schemas.verdict import Verdict

_SAMPLE = """\
examples:
  tenstep sample student --studies unseen --out runs/sample                      greedy, one answer a study
  tenstep sample student --studies unseen --out runs/hot --temperature 0 0.7 1 --n 4
  tenstep sample student --studies unseen --out runs/report --prompt report-only
  tenstep sample merged --studies unseen --out runs/merged                       merged weights, as they are stored
  tenstep sample BASE --quantize nf4 --studies unseen --out runs/base            the base itself: a zero-shot baseline
  tenstep sample student --studies unseen --out runs/sample --redo failed
  tenstep curate RECIPE --studies failed --out runs/again                        what it failed on, curated again

the same command again continues: what has its answer is not sampled again
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep sample`."""
    sample = commands.add_parser(
        "sample", help="sample a student or a base on studies, and judge its answers", epilog=_SAMPLE
    )
    sample.add_argument("model", type=Path, metavar="MODEL", help="what tenstep distill or merge wrote, or a base")
    sample.add_argument("--studies", type=Path, required=True, metavar="STORE", help="a study store")
    sample.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="the run folder; an old one is continued"
    )
    sample.add_argument(
        "--temperature", type=not_negative, nargs="+", default=[0.0], metavar="T", help="0 is greedy (0)"
    )
    sample.add_argument("--n", type=positive, default=1, help="answers per study and temperature (1)")
    sample.add_argument(
        "--prompt", metavar="NAME", help="ten-steps or report-only (what it was trained with; a base: ten-steps)"
    )
    sample.add_argument("--revision", metavar="COMMIT", help="of a base on the hub: 40 hex digits")
    sample.add_argument("--quantize", choices=("nf4", "none"), help="of a base (none); a student has its own")
    sample.add_argument(
        "--redo", type=Path, metavar="STORE", help="write the studies without an accepted answer here, for curate"
    )
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--max-new-tokens", type=positive, metavar="N", help="what it was trained for (a base: 1,024)")
    sample.add_argument("--limit", type=positive, metavar="N", help="only the first N studies")
    sample.add_argument("--batch", type=positive, default=8, metavar="N", help="answers generated at once (8)")
    sample.set_defaults(run=_sample, json_keys=(frozenset({"run", "samples"}),))


def _sample(args: argparse.Namespace) -> Outcome:
    from ..data.store.studies import StudyStore
    from ..distill.redo import redo
    from ..distill.sample import count, plan, sample

    store = StudyStore.open(args.studies)
    if args.redo is not None and args.redo.exists():
        raise InputError("exists; name a new folder for the failed studies", file=args.redo)
    recipe = plan(
        args.model,
        name=args.out.name,
        temperatures=args.temperature,
        n=args.n,
        max_new_tokens=args.max_new_tokens,
        limit=args.limit,
        seed=args.seed,
        prompt=args.prompt,
        revision=args.revision,
        quantize=args.quantize,
    )
    total = min(len(store), args.limit or len(store)) * args.n * len(recipe.temperatures)
    seen = dict.fromkeys(("accept", "doubt", "reject"), 0)
    with progress(total, "sample") as bar:

        def on_judged(_candidate: object, verdict: "Verdict") -> None:
            seen[verdict.outcome] += 1
            bar.advance(accepted=seen["accept"], doubted=seen["doubt"], rejected=seen["reject"])

        manifest = sample(recipe, store, args.out, batch=args.batch, on_judged=on_judged)
    counts = manifest.counts
    by = count(args.out)
    failed = redo(args.out, args.redo) if args.redo is not None else None
    rows = [
        (
            str(temperature),
            str(found.answers),
            *(str(value or "-") for value in (found.well_formed, found.accepted, found.grounded, found.coverage)),
        )
        for temperature, found in by.items()
    ]
    notes = [f"{args.out}: samples.jsonl, journal.db; look at them with: tenstep review {args.out}"]
    if failed:
        notes.append(
            f"{args.redo}: {failed} studies to teach again: tenstep curate RECIPE --studies {args.redo} --out RUN"
        )
    elif failed == 0:
        notes.append("every study has an accepted answer, so there is nothing to do again")
    if counts.get("failed"):
        notes.append(f"{counts['failed']} could not be asked; the journal says why")
    if not counts["sampled"]:
        notes.insert(0, "nothing to do: every question has its answer in the journal")
    payload = {
        "run": str(args.out),
        "weights": recipe.weights,
        "samples": counts["attempts"],
        "sampled": counts["sampled"],
        "failed": counts.get("failed", 0),
        "well_formed": counts["well_formed"],
        "accepted": counts["accepted_answers"],
        "redo": failed,
        "temperatures": {
            str(temperature): {
                name: value if value is None or isinstance(value, int) else value._asdict()
                for name, value in found._asdict().items()
            }
            for temperature, found in by.items()
        },
        "seconds": manifest.seconds,
    }
    columns = ("temperature", "answers", "well-formed", "accepted", "grounded", "coverage")
    return Outcome(
        payload=payload,
        tables=(Table(title=f"sample: {recipe.weights}", columns=columns, rows=tuple(rows)),),
        notes=tuple(notes),
    )
