"""`tenstep compare`: two runs over the same studies, paired."""

import argparse
from pathlib import Path

from ..schemas.outcome import Outcome, Table
from .arguments import once


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    compare = commands.add_parser(
        "compare", help="two runs over the same studies, paired", epilog="examples:\n  tenstep compare runs/a runs/b"
    )
    compare.add_argument("first", type=Path, metavar="RUN")
    compare.add_argument("second", type=Path, metavar="RUN")
    compare.set_defaults(run=_compare, json_keys=(frozenset({"runs", "p_value"}),))


def _compare(args: argparse.Namespace) -> Outcome:
    from ..curation.comparing import compare

    once((args.first, args.second))
    found = compare(args.first, args.second)
    one, other = found.runs
    rows = [
        ("studies judged", f"{one.studies:,}", f"{other.studies:,}"),
        ("accepted", f"{one.accepted:,}", f"{other.accepted:,}"),
        ("candidates", f"{one.attempts:,}", f"{other.attempts:,}"),
        ("spend", *("unknown" if s.spend_usd is None else f"${s.spend_usd:.2f}" for s in found.runs)),
        ("accepted by it alone", f"{found.only_first:,}", f"{found.only_second:,}"),
    ]
    codes = sorted({*one.codes, *other.codes}, key=lambda code: -one.codes.get(code, 0) - other.codes.get(code, 0))
    rows += [(f"  {code}", f"{one.codes.get(code, 0):,}", f"{other.codes.get(code, 0):,}") for code in codes]
    shared = found.both + found.only_first + found.only_second + found.neither
    notes = [
        f"{shared:,} studies were judged by both: accepted by both {found.both:,}, by neither {found.neither:,}; "
        f"McNemar's exact p = {found.p_value:.3g}"
    ]
    if found.same_recipe:
        notes.append("the recipes are the same")
    else:
        notes.append(f"the recipes differ in: {', '.join(found.differs)}")
    table = Table(title="compare", columns=("", f"1: {one.name}", f"2: {other.name}"), rows=tuple(rows))
    return Outcome(payload=found.model_dump(mode="json"), tables=(table,), notes=tuple(notes))
