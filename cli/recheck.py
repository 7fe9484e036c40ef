"""`tenstep recheck`: a run judged again: by today's rules, under other severities, or with a verifier."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome
from .engines import add_engine_options, executor_of
from .progress import progress
from .rechecked import rechecked_payload, rechecked_tables

if TYPE_CHECKING:
    from ..schemas.curate_recipe import CurateRecipe

_EPILOG = """\
examples:
  tenstep recheck runs/offline      after an update of tenstep: which candidates does it judge differently, and why?
  tenstep recheck runs/offline --severities unsupported_finding=warning,wrong_side=error --dry-run
  tenstep recheck runs/offline --recipe recipe.yaml     under its severities, doubts and verifier

No teacher is asked: answers are in the journal. Old verdicts remain there; the last one counts. With --recipe or
--severities the run's own recipe changes in these keys, so that tenstep curate goes on under them; with --dry-run
nothing is written, and no verifier is asked. A severity is error, doubt, warning or off.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    recheck = commands.add_parser(
        "recheck", help="judge a run again: by today's rules, other severities, a verifier", epilog=_EPILOG
    )
    recheck.add_argument("path", type=Path, metavar="RUN")
    under = recheck.add_mutually_exclusive_group()
    under.add_argument(
        "--recipe", type=Path, metavar="FILE", help="take severities, doubts and verifier from this recipe"
    )
    under.add_argument("--severities", metavar="CODE=SEVERITY,...", help="codes that get another severity from now on")
    recheck.add_argument("--studies", type=Path, metavar="STORE", help="the run's study store, if it moved")
    recheck.add_argument("--dry-run", action="store_true", help="print what would change, write nothing")
    add_engine_options(recheck)
    recheck.set_defaults(run=_recheck, json_keys=(frozenset({"candidates", "changed"}),))


def _recheck(args: argparse.Namespace) -> Outcome:
    from ..curation.recheck import recheck
    from ..curation.verifying.recipe import of_curate
    from ..curation.verifying.verify import verify_run
    from ..data.run import relocate

    if args.studies is not None:
        if args.dry_run:
            raise InputError("--studies is written into the run, and --dry-run writes nothing; leave one out")
        relocate(args.path, args.studies)
    recipe = _recipe(args.recipe) if args.recipe else None
    changes = _changes(args.path, recipe, args.severities)
    with executor_of(args, reads=[args.path]) as executor, progress(None, "recheck") as bar:
        found = recheck(args.path, bar.advance, changes=changes, dry_run=args.dry_run, executor=executor)
    tables = rechecked_tables(f"recheck {args.path}", found)
    payload = rechecked_payload(found) | {"dry_run": args.dry_run}
    notes = [] if found.flipped else ["no verdict changed"]
    notes += [f"study '{one.study_id}' could not be judged, and stays as it was: {one.reason}" for one in found.failed]
    if recipe is not None and recipe.verifier is not None and recipe.verify != "off" and not args.dry_run:
        with progress(None, "verify") as bar:
            verified = verify_run(
                args.path,
                of_curate(recipe),
                recipe.verifier,
                reach=recipe.verify,
                doubts=changes["doubts"] or "verify",
                on_trace=lambda t: bar.advance(spend_usd=t.spend_usd),
            )
        tables += rechecked_tables("with the verifier", verified.changed)
        payload["verified"] = rechecked_payload(verified.changed) | {"states": dict(verified.tally.verified)}
        notes += [*([verified.note] if verified.note else []), *verified.tally.notes]
    if args.dry_run:
        notes.append("a dry run: nothing was written")
    return Outcome(payload=payload, tables=tables, notes=tuple(notes), exit_code=2 if found.failed else 0)


def _recipe(path: Path) -> "CurateRecipe":
    from ..curation.curating import check_severities
    from ..data.recipes import read_recipe
    from ..schemas.curate_recipe import CurateRecipe

    recipe = read_recipe(path, CurateRecipe)
    rules = tuple(str((path.parent / rule).resolve()) for rule in recipe.rules)
    check_severities(recipe.severities, path, rules)
    return recipe.model_copy(update={"rules": rules})


def _changes(run: Path, recipe: "CurateRecipe | None", severities: str | None) -> dict[str, Any]:
    """The keys of the run's recipe that differ from here on."""
    from ..curation.amend import JUDGED_BY
    from ..curation.curating import check_severities
    from ..data.run import RunFolder
    from ..schemas.verdict import WEIGHTS

    if recipe is not None:
        return {name: value for name, value in recipe.model_dump(mode="json").items() if name in JUDGED_BY}
    if severities is None:
        return {}
    given: dict[str, Any] = {}
    for pair in severities.split(","):
        code, _, weight = (part.strip() for part in pair.partition("="))
        if weight not in WEIGHTS:
            raise InputError(
                f"'{pair.strip()}': wanted is code=severity, of {', '.join(WEIGHTS)}", field="--severities"
            )
        if given.setdefault(code, weight) != weight:
            raise InputError(f"'{code}' gets two severities; give one", field="--severities")
    check_severities(given, None)
    with RunFolder.read(run) as folder:
        return {"severities": (folder.manifest.recipe.get("severities") or {}) | given}
