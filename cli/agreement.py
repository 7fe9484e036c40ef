"""`tenstep agreement`: how far people, judges and rules agree on the same traces."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import once

if TYPE_CHECKING:
    from ..curation.judging.raters import Estimate, RaterAgreement

_EPILOG = """\
examples:
  tenstep agreement reader1.jsonl reader2.jsonl
  tenstep agreement runs/offline/judge/judgements.jsonl readers.jsonl --json agreement.json
  tenstep agreement runs/offline/audit.json readers.jsonl        accepted by the rules against accepted by people

a file holds one rater: JSON Lines with id, patient_id if known, and what was rated ("coherence": 4, "accepted": true).
Krippendorff asks for an alpha of 0.80 to rely on a rater, and takes 0.667 for tentative conclusions.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser("agreement", help="how far raters agree on the same traces", epilog=_EPILOG)
    parser.add_argument("paths", type=Path, metavar="RATINGS", nargs="+", help="one file a rater, two or more")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (0)")
    parser.set_defaults(run=_agreement, json_keys=(frozenset({"raters", "questions"}),))


def _agreement(args: argparse.Namespace) -> Outcome:
    from ..curation.judging.raters import FIRM, TENTATIVE, agreement, by_question
    from ..curation.judging.ratings import read_ratings

    if len(args.paths) < 2:
        raise InputError("agreement takes two raters or more; see tenstep agreement --help")
    once(args.paths)
    raters = [read_ratings(path) for path in args.paths]
    patients = {item: patient for rater in reversed(raters) for item, patient in rater.patients.items()}
    questions = by_question([rater.answers for rater in raters], patients)
    found = {name: agreement(rated, seed=args.seed) for name, rated in questions.items()}
    found = {name: one for name, one in found.items() if one.items}
    if not found:
        raise InputError(
            "no two raters rated the same item on the same question; give files about the same traces",
            file=args.paths[1],
        )
    rows = [row for name, one in found.items() for row in _rows(name, one, args.paths)]
    notes = [problem for rater in raters for problem in rater.problems]
    if not patients:
        notes.append("the files name no patients, so intervals take items as independent")
    notes.append(
        f"alpha: {FIRM} and more to rely on, {TENTATIVE} for tentative conclusions; intervals 95 %, by patient"
    )
    table = Table(title="agreement", columns=("question", "raters", "items", "raw", "kappa", "alpha"), rows=tuple(rows))
    return Outcome(
        payload={
            "raters": [str(path) for path in args.paths],
            "questions": {name: _as_dict(one) for name, one in found.items()},
            "problems": [problem for rater in raters for problem in rater.problems],
        },
        tables=(table,),
        notes=tuple(notes),
        exit_code=2 if any(rater.problems for rater in raters) else 0,
    )


def _rows(name: str, found: "RaterAgreement", paths: list[Path]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [(name, "all", str(found.items), "", "", str(found.alpha))]
    for pair in found.pairs:
        raters = " / ".join(paths[at].stem for at in pair.raters)
        kappa = f"{pair.quadratic} quadratic" if pair.quadratic else str(pair.kappa)
        rows.append((name, raters, str(pair.items), str(pair.raw), kappa, ""))
    return rows if len(found.pairs) > 1 else [(*rows[1][:5], rows[0][5])]


def _as_dict(found: "RaterAgreement") -> dict[str, Any]:
    return {
        "ordinal": found.ordinal,
        "categories": list(found.categories),
        "items": found.items,
        "patients": found.patients,
        "distributions": list(found.distributions),
        "alpha": _estimate(found.alpha),
        "pairs": [
            {
                "raters": list(pair.raters),
                "items": pair.items,
                "raw": _estimate(pair.raw),
                "kappa": _estimate(pair.kappa),
                "kappa_linear": _estimate(pair.linear),
                "kappa_quadratic": _estimate(pair.quadratic),
                "table": [list(row) for row in pair.table],
            }
            for pair in found.pairs
        ],
    }


def _estimate(found: "Estimate | None") -> dict[str, float | None] | None:
    return None if found is None else found._asdict()
