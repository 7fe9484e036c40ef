"""`tenstep distill` and `tenstep sample`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.commands import progress
from ..schemas.errors import InputError, RecipeError
from ..schemas.outcome import Outcome, Table
from . import evaluate_command, infer_command, merge_command, publish_command

if TYPE_CHECKING:
    from ..data.commands import Progress
    from ..schemas.verdict import Verdict
    from .card import RunCard

_DISTILL = """\
examples:
  tenstep distill examples/recipes/tiny.yaml --run runs/offline --out student
  tenstep distill examples/recipes/tiny.yaml --run runs/offline --out student --resume
  tenstep distill examples/recipes/stage2.yaml --preflight        what would learn, from what; trains nothing
  torchrun --nproc_per_node 2 -m tenstep distill examples/recipes/stage1.yaml --out student/stage1

--resume goes on after a kill, from the last whole checkpoint, to the same weights; what is finished stays as it is
"""
_SAMPLE = """\
examples:
  tenstep sample student --studies unseen --out runs/sample                      greedy, one answer a study
  tenstep sample student --studies unseen --out runs/hot --temperature 0 0.7 1 --n 4
  tenstep sample student --studies unseen --out runs/report --prompt report-only
  tenstep sample student --studies unseen --out runs/sample --redo failed
  tenstep curate RECIPE --studies failed --out runs/again                        what it failed on, taught again

the same command again goes on: what has its answer is not asked again
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this room's commands."""
    distill = commands.add_parser("distill", help="train a student on the accepted traces of a run", epilog=_DISTILL)
    distill.add_argument("recipe", type=Path, metavar="RECIPE")
    distill.add_argument("--run", type=Path, dest="run_folder", help="a run folder, in place of the recipe's")
    distill.add_argument("--out", type=Path, metavar="DIR", help="a new folder; runs/<the recipe's name> if not given")
    distill.add_argument("--resume", action="store_true", help="go on with the run in DIR, if there is one")
    distill.add_argument("--preflight", action="store_true", help="look at everything, train nothing")
    distill.set_defaults(run=_distill)
    sample = commands.add_parser("sample", help="ask a student about studies, and judge its answers", epilog=_SAMPLE)
    sample.add_argument("model", type=Path, metavar="MODEL", help="what tenstep distill wrote")
    sample.add_argument("--studies", type=Path, required=True, metavar="STORE", help="a study store")
    sample.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder; an old one goes on")
    sample.add_argument(
        "--temperature", type=_not_negative, nargs="+", default=[0.0], metavar="T", help="0 is greedy (0)"
    )
    sample.add_argument("--n", type=_positive, default=1, help="answers per study and temperature (1)")
    sample.add_argument("--prompt", metavar="NAME", help="ten-steps or report-only; what the student was trained with")
    sample.add_argument(
        "--redo", type=Path, metavar="STORE", help="write the studies without an accepted answer here, for curate"
    )
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--max-new-tokens", type=_positive, metavar="N", help="what the student was trained for")
    sample.add_argument("--limit", type=_positive, metavar="N", help="only the first N studies")
    sample.add_argument("--batch", type=_positive, default=8, metavar="N", help="answers generated at once (8)")
    sample.set_defaults(run=_sample)
    evaluate_command.register(commands)
    merge_command.register(commands)
    infer_command.register(commands)
    publish_command.register(commands)


def _distill(args: argparse.Namespace) -> Outcome:
    from ..data.recipes import read_recipe
    from ..schemas.recipe import DistillRecipe

    recipe = read_recipe(args.recipe, DistillRecipe)
    if args.run_folder is not None and recipe.studies:
        raise RecipeError("names study stores, so it takes no --run", file=args.recipe, field="studies")
    run: Path | None = args.run_folder or (Path(recipe.run) if recipe.run else None)
    if args.preflight:
        from .preflight import preflight
        from .preflight_table import outcome

        return outcome(recipe, preflight(recipe, run))
    from .train import distill

    if run is None and not recipe.studies:
        raise RecipeError("says no run; name a run folder here or with --run", file=args.recipe, field="run")
    out: Path = args.out or Path("runs") / recipe.name
    with progress(None, "distill") as bar:
        card = distill(recipe, run, out, resume=args.resume, watch=_Steps(bar))
    return _told(card, out)


class _Steps:
    """Shows the steps of a stage; a run that goes on starts where it was."""

    def __init__(self, bar: "Progress") -> None:
        self._bar = bar
        self._behind = self._before = 0
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._stage, self._before = stage, self._behind
        self._bar.advance(self._before + done - self._behind, total=self._before + total)
        self._behind = self._before + done


def _told(card: "RunCard", out: Path) -> Outcome:
    from .preflight_table import SEVERAL

    checked = card.preflight
    longest, target = checked.conversation, checked.target
    assert longest is not None and target is not None  # a run has measured both
    rows = [
        ("examples", f"{checked.examples} of {checked.patients} patients; {checked.validation} watched"),
        ("trainable", f"{sum(checked.trainable.values()):,} of {checked.weights:,} weights"),
        *((f"  {part}", f"{count:,}") for part, count in sorted(checked.trainable.items())),
        ("longest", f"{longest.longest} of {longest.allowed} tokens"),
        ("longest target", f"{target.longest} of {target.allowed} tokens"),
        ("backend", card.backend),
        ("steps", str(card.losses[-1].step if card.losses else card.steps)),
        *((("loss", f"{card.losses[0].loss:.3f} to {card.losses[-1].loss:.3f}"),) if card.losses else ()),
    ]
    if card.evaluations:
        best = min(card.evaluations, key=lambda one: one.loss)
        rows.append(("validation loss", f"{card.evaluations[0].loss:.3f} to {best.loss:.3f} (step {best.step}, kept)"))
    rows += [("seconds", f"{card.seconds:.1f}"), ("peak memory", f"{card.peak_memory_mb or 0:.0f} MB")]
    payload = {
        "out": str(out),
        "adapter": str(out / "adapter"),
        "adapter_sha256": card.adapter_sha256,
        "examples": checked.examples,
        "validation": checked.validation,
        "trainable": dict(checked.trainable),
        "weights": checked.weights,
        "backend": card.backend,
        "steps": card.steps,
        "losses": [loss.model_dump() for loss in card.losses],
        "evaluations": [one.model_dump() for one in card.evaluations],
        "best_step": card.best_step,
        "seconds": card.seconds,
        "sessions": len(card.sessions),
        "peak_memory_mb": card.peak_memory_mb,
    }
    notes = (
        f"{out / 'adapter'}: the student; ask it with: tenstep sample {out} --studies STORE --out RUN",
        f"{out / 'run_card.json'}: what was done, and with what",
        *((SEVERAL.format(checked.one_of_several),) if checked.one_of_several else ()),
        *((f"losses over time: tensorboard --logdir {out / 'tensorboard'}",) if (out / "tensorboard").is_dir() else ()),
    )
    return Outcome(payload=payload, tables=(Table(title="distill", columns=("", ""), rows=tuple(rows)),), notes=notes)


def _sample(args: argparse.Namespace) -> Outcome:
    from ..data.store import StudyStore
    from .sample import count, plan, redo, sample

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
    )
    total = min(len(store), args.limit or len(store)) * args.n * len(recipe.temperatures)
    accepted = rejected = 0
    with progress(total, "sample") as bar:

        def on_judged(_candidate: object, verdict: "Verdict") -> None:
            nonlocal accepted, rejected
            accepted += verdict.accepted
            rejected += not verdict.accepted
            bar.advance(accepted=accepted, rejected=rejected)

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
        payload=payload, tables=(Table(title="sample", columns=columns, rows=tuple(rows)),), notes=tuple(notes)
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
