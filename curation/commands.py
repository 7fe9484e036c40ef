"""`tenstep curate`, `tenstep audit` and `tenstep review`."""

import argparse
import asyncio
import resource
import signal
import time
from pathlib import Path
from typing import Any

from ..data.commands import progress
from ..schemas.errors import InputError, RecipeError
from ..schemas.outcome import Outcome, Table
from . import findings_command

_CURATE = """\
examples:
  tenstep curate examples/recipes/offline.yaml --studies studies --out runs/offline
  tenstep curate examples/recipes/offline.yaml --studies studies --out runs/offline --limit 20

the same command again resumes: what has an answer is not asked again
"""
_AUDIT = """\
examples:
  tenstep audit traces.jsonl                     a table
  tenstep audit traces.jsonl --json audit.json   and every finding of every row

input: one JSON object a line with id, text (steps, then the report), and optionally reference_report, views,
labels, patient_id, has_prior; or a run folder. Without reference_report, the rules that compare the report with
it are skipped, which is said.
"""
_REVIEW = """\
examples:
  tenstep review runs/offline                                     runs/offline/review.html, which opens from disk
  tenstep review runs/offline runs/samples --out review.html      teacher and student on one page
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this room's commands."""
    curate = commands.add_parser("curate", help="write, judge and repair traces for studies", epilog=_CURATE)
    curate.add_argument("recipe", type=Path, metavar="RECIPE")
    curate.add_argument("--studies", type=Path, help="a study store, in place of the recipe's")
    curate.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder; an old one is resumed")
    curate.add_argument("--limit", type=int, metavar="N", help="only the first N studies")
    curate.add_argument(
        "--resend-unknown", choices=("ask", "yes", "no"), help="requests that were sent but never answered"
    )
    curate.set_defaults(run=_curate)
    audit = commands.add_parser("audit", help="judge any chain-of-thought dataset", epilog=_AUDIT)
    audit.add_argument("path", type=Path, metavar="PATH")
    audit.set_defaults(run=_audit)
    review = commands.add_parser(
        "review", help="a page with every trace, its report and what was found", epilog=_REVIEW
    )
    review.add_argument("runs", type=Path, metavar="RUN", nargs="+", help="of teachers, of students, or both")
    review.add_argument("--out", type=Path, metavar="HTML", help="where to write it; review.html in the first RUN")
    review.set_defaults(run=_review)
    findings_command.register(commands)


def _curate(args: argparse.Namespace) -> Outcome:
    from ..data.recipes import read_recipe
    from ..data.run import RunFolder
    from ..data.store import StudyStore
    from ..schemas.recipe import CurateRecipe
    from ..validators.gate import CODES
    from .engine import Engine
    from .teacher import load

    recipe = read_recipe(args.recipe, CurateRecipe)
    given = {
        "studies": str(args.studies) if args.studies else recipe.studies,
        "limit": args.limit or recipe.limit,
        "resend_unknown": args.resend_unknown or recipe.resend_unknown,
    }
    recipe = CurateRecipe.model_validate(recipe.model_dump() | given)
    if recipe.studies is None:
        raise RecipeError(
            "says no studies; name a study store here or with --studies", file=args.recipe, field="studies"
        )
    if strange := sorted(set(recipe.severities) - set(CODES)):
        raise RecipeError(f"no rule finds '{strange[0]}'", file=args.recipe, field="severities")
    teachers = [load(spec) for spec in recipe.teachers]
    store = StudyStore.open(Path(recipe.studies))
    recipe = recipe.model_copy(update={"studies": str(store.root.resolve())})
    since = time.monotonic()
    with RunFolder.open(args.out, kind="curate", recipe=recipe, studies=store) as run:
        with progress(min(len(store), recipe.limit or len(store)), "curate") as bar:
            engine = Engine(
                run,
                recipe,
                teachers,
                on_study=lambda t: bar.advance(accepted=t.accepted, rejected=t.rejected, spend_usd=t.spend_usd),
            )
            asyncio.run(_interruptible(engine))
        tally = engine.tally
        manifest = run.finish(spend_usd=tally.spend_usd, studies=len(store))
    seconds, megabytes = time.monotonic() - since, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = manifest.counts
    rows = [("studies", str(counts["studies"])), ("accepted", str(counts["accepted"]))]
    rows += [("  of them repaired", str(counts["repaired"])), ("rejected", str(counts["rejected"]))]
    rows += [(f"  {code}", str(n)) for code, n in tally.codes.most_common()]
    rows += [(state, str(counts[state])) for state in ("unknown", "failed", "refused") if counts.get(state)]
    rows += [("asked now / recalled", f"{tally.asked} / {tally.recalled}")]
    rows += [("spend", "unknown" if tally.spend_usd is None else f"${tally.spend_usd:.2f}")]
    rows += [("seconds", f"{seconds:.1f}"), ("peak memory", f"{megabytes:.0f} MB")]
    notes = [f"{args.out}: accepted.jsonl, rejected.jsonl, journal.db; look at them with: tenstep review {args.out}"]
    if not tally.asked:
        notes.insert(0, "nothing to do: every question of this recipe has its answer in the journal")
    if counts.get("unknown"):
        notes.append(
            f"{counts['unknown']} requests were sent and never answered; they may have been paid for. "
            "To send them again: --resend-unknown yes"
        )
    payload: dict[str, Any] = {
        "run": str(args.out),
        **counts,
        "codes": dict(tally.codes.most_common()),
        "asked": tally.asked,
        "recalled": tally.recalled,
        "spend_usd": tally.spend_usd,
        "seconds": round(seconds, 3),
        "peak_mb": round(megabytes, 1),
    }
    table = Table(title=f"curate {recipe.name}", columns=("", ""), rows=tuple(rows))
    return Outcome(payload=payload, tables=(table,), notes=tuple(notes))


async def _interruptible(engine: "Any") -> None:
    """Ctrl-C and a polite kill stop admission; what is under way is finished and journalled."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, engine.stop)
    try:
        await engine.work()
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)


def _audit(args: argparse.Namespace) -> Outcome:
    from .audit import audit

    report = audit(args.path)
    n = len(report.items)
    rows = [("rows", str(n)), ("accepted", str(report.accepted)), ("rejected", str(n - report.accepted))]
    rows += [(f"  {code}", str(count)) for code, count in report.codes.items()]
    table = Table(title=f"audit {args.path}", columns=("", ""), rows=tuple(rows))
    return Outcome(
        payload=report.as_dict(), tables=(table,), notes=report.notes, exit_code=2 if report.unreadable else 0
    )


def _review(args: argparse.Namespace) -> Outcome:
    from contextlib import ExitStack

    from ..data.run import RunFolder
    from .review import write_review

    out = args.out or args.runs[0] / "review.html"
    with ExitStack() as stack:
        runs = [stack.enter_context(RunFolder.read(path)) for path in args.runs]
        try:
            studies = write_review(runs, out)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", file=out) from None
    return Outcome(
        payload={"page": str(out), "studies": studies}, notes=(f"{out}: {studies} studies; open it in a browser",)
    )
