"""`tenstep distill`: train a student on the accepted traces of a run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import RecipeError
from ..schemas.outcome import Outcome, Table
from .output import say
from .progress import progress

if TYPE_CHECKING:
    from ..distill.train.run_card import RunCard
    from .progress import Progress

_DISTILL = """\
examples:
  tenstep distill examples/recipes/tiny.yaml --run runs/offline --out student
  tenstep distill examples/recipes/tiny.yaml --run runs/offline --out student --resume
  tenstep distill examples/recipes/stage2.yaml --preflight        what would be trained, on what; trains nothing
  tenstep distill examples/recipes/tiny-dpo.yaml --run runs/offline --out student-dpo      from preference pairs
  tenstep distill examples/recipes/tiny-grpo.yaml --run runs/offline --out student-grpo    by reward
  torchrun --nproc_per_node 2 -m tenstep distill examples/recipes/stage1.yaml --out student/stage1

--resume continues after a kill from the last complete checkpoint, to the same weights; a finished run stays as it is
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep distill`."""
    distill = commands.add_parser("distill", help="train a student on the accepted traces of a run", epilog=_DISTILL)
    distill.add_argument("recipe", type=Path, metavar="RECIPE")
    distill.add_argument(
        "--run",
        "--run-folder",  # torchrun takes --run for an option of its own
        type=Path,
        dest="run_folder",
        metavar="RUN",
        help="a run or a selection, in place of the recipe's (under torchrun: --run-folder)",
    )
    distill.add_argument("--out", type=Path, metavar="DIR", help="a new folder; runs/<the recipe's name> if not given")
    distill.add_argument("--resume", action="store_true", help="continue the run in DIR, if there is one")
    distill.add_argument("--preflight", action="store_true", help="check everything, train nothing")
    distill.set_defaults(run=_distill, json_keys=(frozenset({"out", "adapter"}), frozenset({"examples", "shape"})))


def _distill(args: argparse.Namespace) -> Outcome:
    from ..data.recipes import read_recipe
    from ..data.selection import report_form_of
    from ..distill import prompt
    from ..schemas.distill_recipe import DistillRecipe

    recipe = read_recipe(args.recipe, DistillRecipe)
    if args.run_folder is not None and recipe.studies:
        raise RecipeError("names study stores, so it takes no --run", file=args.recipe, field="studies")
    run: Path | None = args.run_folder or (Path(recipe.run) if recipe.run else None)
    if run is not None and run.exists() and "prompt" not in recipe.model_fields_set:
        recipe = recipe.model_copy(update={"prompt": prompt.name_for(report_form_of(run))})
    if args.preflight:
        from ..distill.train.preflight import preflight
        from ..distill.train.ranks import Ranks
        from .preflight import outcome

        if not Ranks().first:  # the first process looks for all of them
            return Outcome(payload={})
        return outcome(recipe, preflight(recipe, run))
    from ..distill.train.train import distill

    if run is None and not recipe.studies:
        raise RecipeError("says no run; name a run folder here or with --run", file=args.recipe, field="run")
    out: Path = args.out or Path("runs") / recipe.name
    with progress(None, "distill") as bar:
        try:
            card = distill(recipe, run, out, resume=args.resume, on_progress=_Steps(bar))
        except KeyboardInterrupt as stop:
            if stop.args:  # a checkpoint was saved
                say(f"tenstep: {stop}")
            raise
    return _outcome(card, out)


class _Steps:
    """Shows the steps of a stage; a resumed run starts where it was."""

    def __init__(self, bar: "Progress") -> None:
        self._bar = bar
        self._before = 0
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._stage, self._before = stage, self._bar.done
        self._bar.reach(self._before + done, self._before + total)


def _outcome(card: "RunCard", out: Path) -> Outcome:
    from .preflight import SEVERAL, by_code

    checked = card.preflight
    longest, target = checked.conversation, checked.target
    assert longest is not None and target is not None  # a run has measured both
    rows = [
        ("examples", f"{checked.examples} of {checked.patients} patients; {checked.validation} for validation"),
        *((("preference pairs", f"{sum(checked.pairs.values())}: {by_code(checked)}"),) if checked.pairs else ()),
        *((("left out, too long", f"{len(checked.dropped)}; run_card.json names them"),) if checked.dropped else ()),
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
    if card.losses and (margin := card.losses[-1].others.get("rewards/margins")) is not None:
        rows.append(("margin", f"{margin:.2f} nats times beta, accepted over rejected"))
    if card.held_out:
        before, after = card.held_out[0], card.held_out[-1]
        rows.append(("held out", f"{after.answers} answers to {after.studies} studies, before and after"))
        rows += [
            (f"  {name.replace('_', ' ')}", f"{getattr(before, name):.3f} to {getattr(after, name):.3f}")
            for name in ("reward", "structure", "grounding", "coverage", "accepted", "says_nothing", "repeated")
        ]
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
        "pairs": dict(checked.pairs),
        "held_out": [one.model_dump() for one in card.held_out],
        "signs": list(card.signs),
        "seconds": card.seconds,
        "sessions": len(card.sessions),
        "peak_memory_mb": card.peak_memory_mb,
    }
    notes = (
        f"{out / 'adapter'}: the student; sample it with: tenstep sample {out} --studies STORE --out RUN",
        f"{out / 'run_card.json'}: what was done, and with what",
        *(f"held-out studies speak against this student: {sign}" for sign in card.signs),
        *((SEVERAL.format(checked.one_of_several),) if checked.one_of_several else ()),
        *((f"losses over time: tensorboard --logdir {out / 'tensorboard'}",) if (out / "tensorboard").is_dir() else ()),
    )
    return Outcome(payload=payload, tables=(Table(title="distill", columns=("", ""), rows=tuple(rows)),), notes=notes)
