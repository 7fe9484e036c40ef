"""`tenstep distill`: train a student on the accepted traces of a run."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import RecipeError
from ..schemas.outcome import Outcome, Table
from .output import say
from .progress import progress

if TYPE_CHECKING:
    from ..distill.train.lengths import Lengths
    from ..distill.train.preflight import Preflight
    from ..distill.train.run_card import RunCard
    from ..schemas.distill_recipe import DistillRecipe
    from .progress import Progress

_SHOWN = 1500  # characters of an example
_SEVERAL = (
    "{} studies have several images and the student is shown the first frontal one, while the report is about all; "
    "ingest with --one-image canvas to show all on one"
)
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
    distill.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file; some ship: tenstep recipe")
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
        raise RecipeError(
            "names study stores, so it takes no --run; leave one of the two out", file=args.recipe, field="studies"
        )
    run: Path | None = args.run_folder or (Path(recipe.run) if recipe.run else None)
    if run is not None and run.exists() and "prompt" not in recipe.model_fields_set:
        recipe = recipe.model_copy(update={"prompt": prompt.name_for(report_form_of(run))})
    if args.preflight:
        from ..distill.train.preflight import preflight
        from ..distill.train.ranks import Ranks

        if not Ranks().first:  # the first process looks for all of them
            return Outcome(payload={})
        return _preflight_outcome(recipe, preflight(recipe, run))
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
    checked = card.preflight
    longest, target = checked.conversation, checked.target
    assert longest is not None and target is not None  # a run has measured both
    rows = [
        ("examples", f"{checked.examples} of {checked.patients} patients; {checked.validation} for validation"),
        *((("preference pairs", f"{sum(checked.pairs.values())}: {_by_code(checked)}"),) if checked.pairs else ()),
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
        *((_SEVERAL.format(checked.one_of_several),) if checked.one_of_several else ()),
        *((f"losses over time: tensorboard --logdir {out / 'tensorboard'}",) if (out / "tensorboard").is_dir() else ()),
    )
    return Outcome(payload=payload, tables=(Table(title="distill", columns=("", ""), rows=tuple(rows)),), notes=notes)


def _preflight_outcome(recipe: "DistillRecipe", found: "Preflight") -> Outcome:
    """Tables, notes, and the same as JSON; private where it quotes restricted text."""
    rows = [
        ("shape", found.shape),
        ("trainable", f"{sum(found.trainable.values()):,} of {found.weights:,} weights"),
        *((f"  {part}", f"{count:,}") for part, count in sorted(found.trainable.items())),
        *_examples(found),
        *_lengths("conversation", found.conversation),
        *_lengths("target", found.target),
        *_memory(found),
        *((("vision features, MB on disk", f"{found.features_mb:,}"),) if found.features_mb is not None else ()),
    ]
    tables = [Table(title=f"preflight: {recipe.name}", columns=("", ""), rows=tuple(rows))]
    if found.shown:
        shown = tuple((str(at), text[:_SHOWN]) for at, text in enumerate(found.shown, 1))
        tables.append(Table(title="what is trained on (the unmasked tokens)", columns=("example", "text"), rows=shown))
    if found.unchecked:
        tables.append(
            Table(title="could not be checked", columns=("",), rows=tuple((text,) for text in found.unchecked))
        )
    return Outcome(
        payload=found.model_dump(mode="json"),
        tables=tuple(tables),
        notes=("nothing was trained",),
        private=found.restricted,
    )


def _examples(found: "Preflight") -> list[tuple[str, str]]:
    if not found.examples:
        return []
    return [
        ("training", f"{found.examples} examples of {found.patients} patients"),
        *((("preference pairs", f"{sum(found.pairs.values())}: {_by_code(found)}"),) if found.pairs else ()),
        ("validation", f"{found.validation} examples of {found.patients_validation} other patients"),
        *((("left out, too long", f"{len(found.dropped)}: {', '.join(found.dropped[:5])}"),) if found.dropped else ()),
        ("images", f"{found.images}, all there, as ingested, and decoded"),
        *((("one of several views", _SEVERAL.format(found.one_of_several)),) if found.one_of_several else ()),
        ("test sets", f"no overlap with {', '.join(found.test_sets)}" if found.test_sets else "none is declared"),
    ]


def _by_code(found: "Preflight") -> str:
    """What the other texts of the pairs were rejected for."""
    return ", ".join(f"{code} {n}" for code, n in sorted(found.pairs.items(), key=lambda one: (-one[1], one[0])))


def _lengths(name: str, found: "Lengths | None") -> list[tuple[str, str]]:
    if found is None:
        return []
    text = f"median {found.median}, p95 {found.p95}, p99 {found.p99}, longest {found.longest} of {found.allowed}"
    return [(f"{name}, tokens", text)]


def _memory(found: "Preflight") -> list[tuple[str, str]]:
    need = found.memory
    if need is None:
        return []
    text = f"{need.weights_mb:,} weights + {need.learning_mb:,} learning + {need.activations_mb:,} activations"
    rows = [("memory, MB (estimated)", f"{need.total_mb:,} = {text}")]
    if need.card_mb is None:
        return rows
    fits = "fits" if need.total_mb < need.card_mb else "may not fit: lower batch, or turn gradient_checkpointing on"
    return [*rows, ("card", f"{need.card}, {need.card_mb:,} MB: {fits}")]
