"""`tenstep select`: a small set from the accepted examples of runs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.outcome import Outcome, Table
from .arguments import positive
from .engines import add_engine_options, executor_of
from .progress import progress

if TYPE_CHECKING:
    from ..curation.selecting.select import Selected

_EPILOG = """\
examples:
  tenstep select runs/first --n 300 --out small
  tenstep select runs/a runs/b --n 300 --student runs/samples --splits splits.yaml --held-out test-studies --out small
  tenstep select runs/first --n 300 --min finding:pneumothorax=20 --max normality:normal=90 --out small

then, wherever a run is taken: tenstep distill examples/recipes/tiny.yaml --run small --out student
and for an ablation of the same size: --run small/baselines/random (or hard-random, domain)

The stages: gates, one example a study, near-duplicates, quality, difficulty, diversity. small/selection.json gives the
reason of each chosen row, small/removed.jsonl of each other one. The same examples give the same set, in any order.
"""


_SHOWN = 30  # groups in the table


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    select = commands.add_parser(
        "select", help="a small set: quality, then difficulty, then diversity, within quotas", epilog=_EPILOG
    )
    select.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="run folders of tenstep curate")
    select.add_argument("--n", type=positive, required=True, help="how many examples")
    select.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the selection")
    select.add_argument("--student", type=Path, metavar="RUN", help="a student's samples: its failures are difficulty")
    select.add_argument("--splits", type=Path, metavar="YAML", help="from tenstep split: only its train is chosen from")
    select.add_argument(
        "--held-out", type=Path, nargs="+", default=[], metavar="STORE", help="study stores that tests are made of"
    )
    select.add_argument("--studies", type=Path, metavar="STORE", help="the runs' study store, if it moved")
    select.add_argument("--min", nargs="+", default=[], metavar="KIND:NAME=N", help="at least, e.g. view:lateral=50")
    select.add_argument("--max", nargs="+", default=[], metavar="KIND:NAME=N", help="at most, e.g. finding:*=60")
    select.add_argument("--quality", type=float, default=0.5, metavar="SHARE", help="kept by quality (default: 0.5)")
    select.add_argument("--difficulty", type=float, default=0.5, metavar="SHARE", help="by difficulty (default: 0.5)")
    select.add_argument(
        "--similarity", type=float, default=0.9, metavar="SHARE", help="near-duplicates from here on (default: 0.9)"
    )
    select.add_argument(
        "--pool", type=positive, default=20_000, metavar="N", help="of more, a stratified sample (default: 20000)"
    )
    select.add_argument("--seed", type=int, default=0, help="of the baselines; the selection itself draws nothing")
    add_engine_options(select)
    select.set_defaults(run=_select, json_keys=(frozenset({"selection", "stages"}),))


def _select(args: argparse.Namespace) -> Outcome:
    from pydantic import ValidationError

    from ..curation.selecting.quotas import parsed
    from ..curation.selecting.select import SelectOptions, select
    from ..schemas.errors import InputError, first_fault

    try:
        options = SelectOptions(
            n=args.n,
            quality=args.quality,
            difficulty=args.difficulty,
            similarity=args.similarity,
            minimums=parsed(args.min),
            maximums=parsed(args.max),
            pool=args.pool,
            seed=args.seed,
        )
    except ValidationError as error:
        message, field = first_fault(error)
        raise InputError(message, field=f"--{field}") from None
    with executor_of(args, reads=[*args.runs, *args.held_out]) as executor, progress(None, "select") as bar:
        found = select(
            args.runs,
            options,
            args.out,
            student=args.student,
            splits=args.splits,
            held_out=args.held_out,
            studies=args.studies,
            on_row=bar.advance,
            executor=executor,
        )
    return _outcome(args.out, found)


def _outcome(out: Path, found: "Selected") -> Outcome:
    selection = found.selection
    stages = Table(
        title=f"select {len(selection.rows)} of {selection.stages[0].before:,}",
        columns=("stage", "before", "after", "removed, by reason"),
        rows=tuple(
            (s.name, f"{s.before:,}", f"{s.after:,}", "; ".join(f"{why} {n:,}" for why, n in s.removed.items()))
            for s in selection.stages
        ),
    )
    sets = {"selected": selection, **found.baselines}
    most = sorted(selection.pool.items(), key=lambda item: (item[0].startswith("finding:"), -item[1], item[0]))
    shown, rest = most[:_SHOWN], len(most) - _SHOWN
    groups = Table(
        title="what it holds",
        columns=("", "pool", *sets),
        rows=(
            *((group, f"{n:,}", *(str(one.chosen.get(group, 0)) for one in sets.values())) for group, n in shown),
            ("likeness of the pool to the nearest", "", *(f"{one.coverage:.1%}" for one in sets.values())),
        ),
    )
    return Outcome(
        payload={
            "selection": str(out),
            "n": len(selection.rows),
            "stages": [stage.model_dump() for stage in selection.stages],
            "pool": selection.pool,
            "chosen": {name: one.chosen for name, one in sets.items()},
            "coverage": {name: one.coverage for name, one in sets.items()},
            "short": selection.short,
            "input_sha256": selection.input_sha256,
        },
        tables=(stages, groups),
        notes=(
            *([f"and {rest} rarer findings: see selection.json"] if rest > 0 else []),
            *found.notes,
            f"{out}: selection.json, removed.jsonl, coverage.svg, stages.svg, baselines/",
        ),
    )
