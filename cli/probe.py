"""`tenstep probe`: do a teacher's steps move with the image, or with the report?"""

import argparse
import json
from pathlib import Path
from typing import Any

from ..schemas.outcome import Outcome, Table
from .arguments import not_negative, positive
from .progress import progress

_EPILOG = """\
examples:
  tenstep probe runs/mine --studies 20
  tenstep probe runs/mine --studies 20 --usd 2 --teacher gpt

The run's teacher answers again: with nothing changed, with another patient's report, with another patient's
image, and with a grey image. That costs up to four requests a study. Answers are kept in RUN/probe; the same command
again sends no request that was answered.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("probe", help="do a teacher's steps move with the image?", epilog=_EPILOG)
    parser.add_argument("path", type=Path, metavar="RUN")
    parser.add_argument(
        "--studies", type=positive, default=20, metavar="N", help="how many studies, drawn by chance (20)"
    )
    parser.add_argument("--teacher", metavar="NAME", help="which of the recipe's teachers; the first")
    parser.add_argument("--usd", type=not_negative, help="stop before it costs more; needs a known price")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.set_defaults(run=_probe, json_keys=(frozenset({"teacher", "arms"}),))


def _probe(args: argparse.Namespace) -> Outcome:
    from ..curation.probe import probe
    from ..data.files import replace_text
    from ..data.run import RunFolder
    from ..schemas.recipe import Budget

    budget = None if args.usd is None else Budget(usd=args.usd)
    with progress(None, "probe") as bar:
        found = probe(
            args.path,
            studies=args.studies,
            teacher=args.teacher,
            budget=budget,
            seed=args.seed,
            on_study=lambda t: bar.advance(accepted=t.accepted, rejected=t.rejected, spend_usd=t.spend_usd),
        )
    shown = found.as_dict()
    out = args.path / "probe" / "probe.json"
    with RunFolder.read(args.path) as run:
        private = run.studies.data_class == "restricted"
    replace_text(out, json.dumps(shown, indent=1) + "\n", private=private)
    rows = []
    for arm, one in shown["arms"].items():
        beyond = _said(one.get("claims_beyond_chance"))
        rows.append((arm.replace("_", " "), str(one["studies"]), _said(one["words"]), _said(one["claims"]), beyond))
    columns = ("what is changed", "studies", "words moved", "claims moved", "claims, beyond chance")
    notes = [
        *shown["reading"],
        f"asked {shown['asked']}, answers from the journal {shown['recalled']}, no answer {shown['no_answer']}; {out}",
    ]
    if shown["ended"] != "data":
        notes.insert(0, f"ended before every question was asked ({shown['ended']}); the same command again goes on")
    return Outcome(payload=shown, tables=(Table(title="probe", columns=columns, rows=tuple(rows)),), notes=tuple(notes))


def _said(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    interval = "" if found["low"] is None else f" ({found['low']:.0%} to {found['high']:.0%})"
    return f"{found['mean']:.0%}{interval}"
