"""`tenstep verify`: a second model reads a run's traces claim by claim, and resolves doubts if it is calibrated."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome, Table
from .progress import progress
from .rechecked import rechecked_payload, rechecked_tables

_EPILOG = """\
examples:
  tenstep verify runs/mine                       by the verifier that the run's own recipe names
  tenstep verify runs/mine verify.yaml
  tenstep verify runs/mine verify.yaml --all     also what the rules accept

verify.yaml:
  kind: verify
  name: second-reader
  verifier: {kind: openai, options: {model: gpt-5.5}, calibration: calibrations/second-reader/calibration.json}
  budget: {usd: 5}

The verifier lists the statements of each step, each with the words it means and a label. Code checks that these words
are in the step, and the labels decide. A verifier may reject a trace or keep it in doubt; it resolves a doubt in the
trace's favour only with a good enough calibration of the same model and prompt (tenstep calibrate). The same command
again sends no request that was answered.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("verify", help="let a second model resolve a run's doubts", epilog=_EPILOG)
    parser.add_argument("path", type=Path, metavar="RUN")
    parser.add_argument("recipe", type=Path, metavar="RECIPE", nargs="?", help="of kind verify or curate")
    parser.add_argument("--all", action="store_true", help="also read traces that the rules accept")
    parser.set_defaults(run=_verify, json_keys=(frozenset({"run", "states"}),))


def _verify(args: argparse.Namespace) -> Outcome:
    from ..curation.status import money
    from ..curation.verifying.recipe import of_curate, read_verify_recipe
    from ..curation.verifying.verify import verify_run
    from ..data.recipes import recipe_of_run
    from ..data.run import RunFolder
    from ..schemas.curate_recipe import CurateRecipe

    if args.recipe is not None:
        recipe = read_verify_recipe(args.recipe)
    else:
        with RunFolder.read(args.path) as run:
            curated = recipe_of_run(run, CurateRecipe, "curate", "verified by its own recipe; name one after it")
        recipe = of_curate(curated, args.path / "recipe.yaml")
    reach = "all" if args.all else recipe.verify
    with progress(None, "verify") as bar:
        found = verify_run(
            args.path,
            recipe,
            recipe.verifier,
            reach=reach,
            on_trace=lambda t: bar.advance(spend_usd=t.spend_usd),
        )
    tally = found.tally
    rows = [(state, str(n)) for state, n in tally.verified.most_common()] or [("nothing to verify", "")]
    rows += [
        ("requests now/earlier", f"{tally.asked} / {tally.recalled}"),
        ("spend of the run", money(tally.spend_usd)),
    ]
    notes = [*([found.note] if found.note else []), *tally.notes]
    if tally.ended != "data":
        notes.insert(0, f"ended before every trace was read ({tally.ended}); the same command again goes on")
    if (args.path / "verified.jsonl").exists():
        notes.append(f"{args.path / 'verified.jsonl'}: every statement with its label and evidence")
    states = Table(title=f"verify {args.path}", columns=("traces", ""), rows=tuple(rows))
    return Outcome(
        payload={
            "run": str(args.path),
            "states": dict(tally.verified),
            **tally.as_dict(),
            "lifts": found.note is None,
            **rechecked_payload(found.changed),
        },
        tables=(states, *rechecked_tables("what changed", found.changed)),
        notes=tuple(notes),
    )
