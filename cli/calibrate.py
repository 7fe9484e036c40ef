"""`tenstep calibrate`: how often a verifier is right on labelled traces, and what it may be trusted with."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.outcome import Outcome, Table
from .progress import progress

if TYPE_CHECKING:
    from ..curation.verifying.calibration import Accuracy

_EPILOG = """\
examples:
  tenstep calibrate verify.yaml                     writes calibrations/NAME/calibration.json
  tenstep calibrate curate.yaml --out calibrated    the verifier of a curation's recipe

The verifier judges 100 good and 100 bad traces that ship with tenstep, or those that the recipe names: `labelled` in a
recipe of kind verify, a file or a run that readers have decided on. It is trusted to resolve doubts if it judged at
least 76 good and 76 bad traces, with at most 3 errors in 76 on either side; a recipe may set another bound
(verifier.trust).
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("calibrate", help="measure a verifier on labelled traces", epilog=_EPILOG)
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help="of kind verify or curate")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a folder (calibrations/NAME)")
    parser.set_defaults(run=_calibrate, json_keys=(frozenset({"calibration", "traces"}),))


def _calibrate(args: argparse.Namespace) -> Outcome:
    from ..curation.status import money
    from ..curation.verifying.calibrate import calibrate
    from ..curation.verifying.recipe import read_verify_recipe

    recipe = read_verify_recipe(args.recipe)
    out = args.out or Path("calibrations") / recipe.name
    with progress(None, "calibrate") as bar:
        done = calibrate(recipe, out, lambda t: bar.advance(spend_usd=t.spend_usd))
    tally, found = done.tally, done.found
    notes = list(tally.notes)
    payload = {
        "calibration": str(out / "calibration.json") if found else None,
        "traces": done.traces,
        "open": done.open,
        **tally.as_dict(),
    }
    rows = [("traces / without an answer", f"{done.traces} / {done.open}")]
    rows += [("requests now/earlier", f"{tally.asked} / {tally.recalled}"), ("spend", money(tally.spend_usd))]
    tables = [Table(title=f"calibrate {recipe.name}", columns=("", ""), rows=tuple(rows))]
    if found is None:
        notes.insert(0, f"{done.open} traces have no answer yet, so there is no calibration; the same command goes on")
    else:
        missing = found.shortfalls(recipe.verifier.trust)
        payload |= {"trusted": not missing, **found.model_dump(mode="json")}
        shares = {"good ones accepted": found.good, "bad ones caught": found.bad, **found.families}
        tables.append(
            Table(
                title=f"{found.model}, {found.prompt_id}",
                columns=("", "traces", "right", "share", "95 % interval"),
                rows=tuple(
                    (name if at < 2 else f"  {name}", *_cells(rate)) for at, (name, rate) in enumerate(shares.items())
                ),
            )
        )
        lifts = f"does not lift doubts ({'; '.join(missing)}): it may reject and hold" if missing else "lifts doubts"
        notes.append(f"{out / 'calibration.json'}: name it as the verifier's calibration; it {lifts}")
        if found.unreadable:
            notes.append(
                f"{found.unreadable} traces had no usable answer, even when asked once more; they count as errors"
            )
    return Outcome(payload=payload, tables=tuple(tables), notes=tuple(notes))


def _cells(rate: "Accuracy") -> tuple[str, str, str, str]:
    return str(rate.n), str(rate.right), f"{rate.share:.0%}", f"{rate.low:.0%} to {rate.high:.0%}"
