"""`tenstep curate`: a recipe becomes a run; the same command again resumes it."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.memory import peak_megabytes
from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import positive, processes, shard_of
from .engines import add_engine_choice, check_address, executor_of
from .progress import Progress, progress

if TYPE_CHECKING:
    from ..curation.curating import Curated
    from ..curation.requests.forecast import Forecast
    from ..curation.requests.tally import Tally
    from ..schemas.curate_recipe import CurateRecipe

_EPILOG = """\
examples:
  tenstep curate examples/recipes/offline.yaml --studies studies --out runs/offline
  tenstep curate examples/recipes/offline.yaml --studies studies --out runs/offline --limit 20
  tenstep curate recipe.yaml --studies studies --shard 2/8 --out runs/shard-2    one of eight machines; see merge-runs

the same command again resumes: a request that has its answer is not sent again

With a goal, a pilot goes first (goal.pilot studies) and forecasts what the goal will need. The run continues by itself
if it costs nothing, if the recipe sets a budget, or with --yes; otherwise it asks or, without a terminal, stops there.
Ctrl-C waits for requests under way; a second Ctrl-C does not.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    curate = commands.add_parser("curate", help="write, judge and repair traces for studies", epilog=_EPILOG)
    curate.add_argument("recipe", type=Path, metavar="RECIPE")
    curate.add_argument("--studies", type=Path, help="a study store, in place of the recipe's")
    curate.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder; an old one is resumed")
    curate.add_argument("--limit", type=positive, metavar="N", help="only the first N studies")
    curate.add_argument(
        "--shard",
        type=shard_of,
        metavar="I/N",
        help="only the I-th of N parts of the studies, in a run of its own, with its share of goal, budget and rate",
    )
    curate.add_argument(
        "--resend-unknown",
        choices=("ask", "yes", "unanswered", "no"),
        help="whether requests that brought no answer are sent again, and perhaps paid for again; unanswered: only "
        "those to which nothing came at all (default: the recipe's; ask: no, with a note)",
    )
    curate.add_argument(
        "--workers",
        type=processes,
        metavar="N",
        help="processes that judge (one less than cores; 0: none, as for tiny runs)",
    )
    add_engine_choice(curate)
    curate.add_argument(
        "--upload", metavar="URL", help="copy the run to a remote place at the end (s3://..., gs://...)"
    )
    curate.add_argument(
        "--attestation", type=Path, metavar="FILE", help="why restricted data may go there, or to a cluster, signed"
    )
    curate.add_argument("--yes", action="store_true", help="go on after the pilot without asking")
    curate.set_defaults(run=_curate, json_keys=(frozenset({"run", "asked"}),))


def _curate(args: argparse.Namespace) -> Outcome:
    from ..curation.curating import curate_run, resolve
    from ..data.attested import check_place
    from ..data.store.studies import StudyStore

    given = {"limit": args.limit, "resend_unknown": args.resend_unknown}
    recipe = resolve(args.recipe, args.studies, args.shard, **given)
    if args.upload is not None:  # before anything is paid for
        check_place(args.upload, StudyStore.open(str(recipe.studies)).data_class, args.attestation)
    since = time.monotonic()
    if args.engine != "processes":
        return _outcome(args, recipe, _on_engine(args, recipe), time.monotonic() - since)
    check_address(args)
    with _Bar() as bar:
        consent = _consent(args, recipe, bar)
        curated = curate_run(
            recipe, args.out, workers=args.workers, on_start=bar.start, on_study=bar.advance, consent=consent
        )
    return _outcome(args, recipe, curated, time.monotonic() - since)


def _on_engine(args: argparse.Namespace, recipe: "CurateRecipe") -> "Curated":
    from ..curation.curating_offline import curate_offline
    from ..data.store.studies import StudyStore

    if args.shard is not None:
        raise InputError("--engine divides the run itself; leave --shard out")
    data_class = StudyStore.open(str(recipe.studies)).data_class
    with executor_of(args, data_class=data_class) as executor, progress(None, "shards") as bar:
        return curate_offline(recipe, args.out.resolve(), executor, bar.reach)


class _Bar:
    """A progress bar that appears when the work starts, and is hidden while a question is asked."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._bar = Progress()
        self._total = self._done = 0

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, total: int) -> None:
        """Show it, for so many studies."""
        self._total = total
        self._bar = self._stack.enter_context(progress(total, "curate"))
        self._bar.advance(self._done)

    def advance(self, tally: "Tally") -> None:
        """One more study is done."""
        passed, self._done = self._done, max(self._done + 1, tally.passed_over)
        self._bar.advance(
            self._done - passed,
            accepted=tally.accepted,
            doubted=tally.doubted,
            rejected=tally.rejected,
            spend_usd=tally.spend_usd,
        )

    def hidden_for(self, question: Callable[[], bool]) -> bool:
        """Ask without the bar."""
        self._stack.close()
        try:
            return question()
        finally:
            self.start(self._total)


def _consent(args: argparse.Namespace, recipe: "CurateRecipe", bar: _Bar) -> "Callable[[Forecast], bool]":
    from ..curation.curating import bounded

    def consent(forecast: "Forecast") -> bool:
        if forecast.costs_nothing:
            return True
        agreed = bool(args.yes or bounded(recipe))
        interactive = sys.stdin.isatty() and sys.stderr.isatty()

        def question() -> bool:
            sys.stderr.write(f"pilot: {forecast.text}\n")
            if agreed or not interactive:
                return agreed
            sys.stderr.write("go on? [y/N] ")
            sys.stderr.flush()
            try:
                return sys.stdin.readline().strip().lower() in ("y", "yes")
            except KeyboardInterrupt:
                return False

        return bar.hidden_for(question)

    return consent


def _outcome(args: argparse.Namespace, recipe: "CurateRecipe", curated: "Curated", seconds: float) -> Outcome:
    from ..curation.status import money

    manifest, tally, megabytes = curated.manifest, curated.tally, peak_megabytes()
    counts = manifest.counts
    every = counts["studies"]
    chosen = str(every) if recipe.limit is None or recipe.limit >= every else f"{recipe.limit} of {every}"
    rows = [("studies", chosen), ("accepted", str(counts["accepted"]))]
    rows += [("  of them repaired", str(counts["repaired"])), ("in doubt", str(counts["doubted"]))]
    rows += [("rejected", str(counts["rejected"]))]
    rows += [(f"  {code}", str(n)) for code, n in tally.codes.most_common()]
    lost = {name: counts.get(name, 0) for name in ("unknown", "failed", "refused")}
    lost["failed"] -= min(tally.waiting, lost["failed"])  # in the journal they have failed: nothing was sent
    rows += [(state, str(n)) for state, n in lost.items() if n]
    rows += [(f"verifier: {state}", str(n)) for state, n in tally.verified.most_common()]
    rows += [("waiting for an answer", str(tally.waiting))] if tally.waiting else []
    rows += [("requests now/earlier", f"{tally.asked} / {tally.recalled}")]
    rows += [("spend", "unknown" if tally.spend_usd is None else f"${tally.spend_usd:.2f}")]
    if tally.uncertain_usd != 0:
        rows += [("may have cost beyond", f"at most {money(tally.uncertain_usd)}")]
    rows += [("seconds", f"{seconds:.1f}"), ("peak memory", f"{megabytes:.0f} MB")]
    payload: dict[str, Any] = {
        "run": str(args.out),
        **counts,
        "verified": dict(tally.verified),
        "codes": dict(tally.codes.most_common()),
        "waiting": tally.waiting,
        "asked": tally.asked,
        "recalled": tally.recalled,
        "ended": tally.ended,
        "spend_usd": tally.spend_usd,
        "uncertain_usd": tally.uncertain_usd,
        "forecast": None if tally.forecast is None else tally.forecast.model_dump(),
        "training": manifest.policy is None or manifest.policy.training,
        "seconds": round(seconds, 3),
        "peak_mb": round(megabytes, 1),
    }
    table = Table(title=f"curate {recipe.name}", columns=("", ""), rows=tuple(rows))
    exit_code = 130 if tally.ended == "stopped" else int(tally.all_failed)
    return Outcome(payload=payload, tables=(table,), notes=tuple(_notes(args, curated)), exit_code=exit_code)


def _notes(args: argparse.Namespace, curated: "Curated") -> Iterator[str]:
    manifest, tally, unread = curated.manifest, curated.tally, curated.unread
    if tally.all_failed:
        yield f"not one request was answered: {tally.why() or 'none of the earlier ones either'}"
    match tally.ended:
        case "data" if not (tally.asked or tally.waiting or tally.failed or tally.unknown):
            yield "nothing to do: every question of this recipe has its answer in the journal"
        case "budget":
            yield f"the budget is used up ({tally.budget}); to go on, raise it and run the same command again"
        case "pilot" if tally.forecast is not None:
            yield f"stopped after the pilot: {tally.forecast.text}; to go on: --yes, or a budget in the recipe"
        case "stopped":
            yield "stopped; the same command goes on from here"
    files = "accepted.jsonl, doubted.jsonl, rejected.jsonl, journal.db"
    yield f"{args.out}: {files}; look at them with: tenstep review {args.out}"
    if doubted := manifest.counts["doubted"]:
        yield f"studies in doubt: {doubted} (a verifier or a reader settles them; not exported)"
    if unanswered := manifest.counts.get("unknown", 0) - unread:
        yield (
            f"{unanswered} requests were sent and never answered; they may have been paid for. "
            f"To send them again: --resend-unknown {'unanswered' if unread else 'yes'}"
        )
    if unread:
        yield (
            f"{unread} requests were answered, and the answers cannot be read; they are in the journal, may have been "
            "paid for, and are read again, not sent again, by every later call"
        )
    if manifest.policy is not None and not manifest.policy.training:
        yield f"nothing of this run may be exported for training: {manifest.policy.reason}"
    yield from tally.notes
