"""`tenstep distill` and `tenstep sample`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.commands import progress
from ..schemas.errors import InputError, RecipeError
from ..schemas.outcome import Outcome, Table

if TYPE_CHECKING:
    from ..schemas.verdict import Verdict
    from .card import RunCard

_DISTILL = """\
examples:
  tenstep distill examples/recipes/tiny.yaml --run runs/offline --out student
  tenstep distill examples/recipes/tiny.yaml --run runs/offline --out student --resume

--resume goes on after a kill, from the last whole checkpoint, to the same weights; what is finished stays as it is
"""
_SAMPLE = """\
examples:
  tenstep sample student --studies unseen --out runs/sample                      greedy, one answer a study
  tenstep sample student --studies unseen --out runs/hot --temperature 0.7 --n 4

the same command again goes on: what has its answer is not asked again
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this room's commands."""
    distill = commands.add_parser("distill", help="train a student on the accepted traces of a run", epilog=_DISTILL)
    distill.add_argument("recipe", type=Path, metavar="RECIPE")
    distill.add_argument("--run", type=Path, dest="run_folder", help="a run folder, in place of the recipe's")
    distill.add_argument("--out", type=Path, metavar="DIR", help="a new folder; runs/<the recipe's name> if not given")
    distill.add_argument("--resume", action="store_true", help="go on with the run in DIR, if there is one")
    distill.set_defaults(run=_distill)
    sample = commands.add_parser("sample", help="ask a student about studies, and judge its answers", epilog=_SAMPLE)
    sample.add_argument("model", type=Path, metavar="MODEL", help="what tenstep distill wrote")
    sample.add_argument("--studies", type=Path, required=True, metavar="STORE", help="a study store")
    sample.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder; an old one goes on")
    sample.add_argument("--temperature", type=_not_negative, default=0.0, metavar="T", help="0 is greedy (0)")
    sample.add_argument("--n", type=_positive, default=1, help="answers per study (1)")
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--max-new-tokens", type=_positive, metavar="N", help="what the student was trained for")
    sample.add_argument("--limit", type=_positive, metavar="N", help="only the first N studies")
    sample.add_argument("--batch", type=_positive, default=8, metavar="N", help="answers generated at once (8)")
    sample.set_defaults(run=_sample)


def _distill(args: argparse.Namespace) -> Outcome:
    from ..data.recipes import read_recipe
    from ..schemas.recipe import DistillRecipe
    from .train import distill

    recipe = read_recipe(args.recipe, DistillRecipe)
    run: Path | None = args.run_folder or (Path(recipe.run) if recipe.run else None)
    if run is None:
        raise RecipeError("says no run; name a run folder here or with --run", file=args.recipe, field="run")
    out: Path = args.out or Path("runs") / recipe.name
    with progress(None, "distill") as bar:
        card = distill(recipe, run, out, resume=args.resume, watch=lambda _what, _step: bar.advance())
    return _told(card, out)


def _told(card: "RunCard", out: Path) -> Outcome:
    checked = card.preflight
    last = card.losses[-1].loss if card.losses else None
    rows = [
        ("examples", str(checked.examples)),
        ("trainable", f"{sum(checked.trainable.values()):,} of {checked.weights:,} weights"),
        *((f"  {part}", f"{count:,}") for part, count in sorted(checked.trainable.items())),
        ("longest", f"{checked.conversation.longest} of {checked.conversation.allowed} tokens"),
        ("longest target", f"{checked.target.longest} of {checked.target.allowed} tokens"),
        ("steps", str(card.steps)),
        *((("loss", f"{card.losses[0].loss:.3f} to {last:.3f}"),) if last is not None else ()),
        ("seconds", f"{card.seconds:.1f}"),
        ("peak memory", f"{card.peak_memory_mb or 0:.0f} MB"),
    ]
    payload = {
        "out": str(out),
        "adapter": str(out / "adapter"),
        "adapter_sha256": card.adapter_sha256,
        "examples": checked.examples,
        "trainable": dict(checked.trainable),
        "weights": checked.weights,
        "steps": card.steps,
        "losses": [loss.model_dump() for loss in card.losses],
        "seconds": card.seconds,
        "sessions": len(card.sessions),
        "peak_memory_mb": card.peak_memory_mb,
    }
    notes = (
        f"{out / 'adapter'}: the student; ask it with: tenstep sample {out} --studies STORE --out RUN",
        f"{out / 'run_card.json'}: what was done, and with what",
    )
    return Outcome(payload=payload, tables=(Table(title="distill", columns=("", ""), rows=tuple(rows)),), notes=notes)


def _sample(args: argparse.Namespace) -> Outcome:
    from ..data.store import StudyStore
    from .sample import plan, sample

    store = StudyStore.open(args.studies)
    recipe = plan(
        args.model,
        name=args.out.name,
        temperature=args.temperature,
        n=args.n,
        max_new_tokens=args.max_new_tokens,
        limit=args.limit,
        seed=args.seed,
    )
    total = min(len(store), args.limit or len(store)) * args.n
    accepted = rejected = 0
    with progress(total, "sample") as bar:

        def on_judged(_candidate: object, verdict: "Verdict") -> None:
            nonlocal accepted, rejected
            accepted += verdict.accepted
            rejected += not verdict.accepted
            bar.advance(accepted=accepted, rejected=rejected)

        manifest = sample(recipe, store, args.out, batch=args.batch, on_judged=on_judged)
    counts = manifest.counts
    answers = counts["attempts"]
    rows = [
        ("answers", str(answers)),
        ("well-formed", f"{counts['well_formed']} ({counts['well_formed'] / answers:.1%})"),
        ("accepted", f"{counts['accepted_answers']} ({counts['accepted_answers'] / answers:.1%})"),
        *(((("could not be asked", str(counts["failed"])),)) if counts.get("failed") else ()),
        ("seconds", f"{manifest.seconds:.1f}"),
    ]
    notes = [f"{args.out}: samples.jsonl, journal.db; look at them with: tenstep review {args.out}"]
    if not counts["sampled"]:
        notes.insert(0, "nothing to do: every question has its answer in the journal")
    payload = {
        "run": str(args.out),
        "samples": answers,
        "sampled": counts["sampled"],
        "failed": counts.get("failed", 0),
        "well_formed": counts["well_formed"],
        "accepted": counts["accepted_answers"],
        "seconds": manifest.seconds,
    }
    return Outcome(
        payload=payload, tables=(Table(title="sample", columns=("", ""), rows=tuple(rows)),), notes=tuple(notes)
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise InputError(f"'{text}' is not a whole number above 0")
    return int(text)


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100:
        raise InputError(f"'{text}' is not a number from 0 to 100")
    return value
