"""`tenstep attribute`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome, Table
from .arguments import positive
from .progress import progress

if TYPE_CHECKING:
    from ..distill.attribute import Attribution
    from ..distill.leave_out import LeftOuts

_EXAMPLES = """\
examples:
  tenstep attribute runs/curated student
  tenstep attribute runs/curated student --traces accepted --out attribution
  tenstep attribute runs/curated student --leave-out attempt code             estimated from gradients
  tenstep attribute runs/curated student --leave-out attempt --retrain        trained again without each group

Writes the loss of each trace before and after training, the highest first. A wrong trace among right ones keeps a high
loss, so look at the top of attribution.jsonl. Without --out it is written into RUN/attribution, where tenstep review
RUN finds it: the page shows ranks, and --serve --queue loss begins with the highest loss
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep attribute`."""
    parser = commands.add_parser("attribute", help="which traces a student knows least", epilog=_EXAMPLES)
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a curation run, or a selection")
    parser.add_argument("student", type=Path, metavar="STUDENT", help="what tenstep distill wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="attribution.jsonl and .json (RUN/attribution)")
    parser.add_argument(
        "--traces",
        choices=("first", "accepted"),
        default="first",
        help="every first answer, or the accepted examples (first)",
    )
    parser.add_argument(
        "--leave-out",
        nargs="+",
        choices=("finding", "code", "author", "attempt", "outcome"),
        default=(),
        metavar="KIND",
        help="what the student would be without each group of this kind: finding, code, author, attempt, outcome",
    )
    parser.add_argument("--retrain", action="store_true", help="with --leave-out: train again without each group")
    parser.add_argument("--held-out", type=Path, metavar="RUN", help="of other patients (the validation traces)")
    parser.add_argument("--batch", type=positive, default=8, metavar="N", help="traces at once (8)")
    parser.set_defaults(run=_attribute, json_keys=(frozenset({"rows", "groups", "auc"}),))


def _attribute(args: argparse.Namespace) -> Outcome:
    from ..data.attribution import FILE, FOLDER
    from ..data.files import replace_text
    from ..distill.attribute import attribute

    if not args.leave_out and (args.retrain or args.held_out is not None):
        raise InputError("--retrain and --held-out are for --leave-out KIND")
    with progress(None, "attribute") as bar:
        found = attribute(args.run_folder, args.student, source=args.traces, batch=args.batch, on_progress=bar.reach)
    groups = {
        kind: {value: group.model_dump() for value, group in values.items()} for kind, values in found.groups.items()
    }
    out = args.out or args.run_folder / FOLDER
    left = _left_out(args, found, out)
    payload = {
        "out": str(out),
        "student": str(args.student),
        "rows": len(found.rows),
        "groups": groups,
        "auc": found.auc,
        "left_out": None if left is None else left.model_dump(),
    }
    out.mkdir(parents=True, exist_ok=True)
    replace_text(out / FILE, "".join(row.model_dump_json() + "\n" for row in found.rows))
    replace_text(out / "attribution.json", json.dumps(payload, indent=2) + "\n")
    top = tuple(
        (str(row.rank), row.study, f"{row.before:.3f}", f"{row.after:.3f}", row.outcome or "-", ", ".join(row.codes))
        for row in found.rows[:15]
    )
    by_group = tuple(
        (kind, value, str(group["rows"]), f"{group['before']:.3f}", f"{group['after']:.3f}")
        for kind, values in groups.items()
        for value, group in values.items()
    )
    columns = ("rank", "study", "before", "after", "verdict", "codes")
    notes = [f"{out}: attribution.jsonl, every trace; attribution.json, the groups"]
    if found.auc is not None:
        notes.append(
            f"the loss is higher for a trace that the rules do not accept than for one that they do in {found.auc:.0%} "
            "of pairs (50 % is chance)"
        )
    return Outcome(
        payload=payload,
        tables=(
            Table(title="least likely traces", columns=columns, rows=top),
            Table(title="mean loss by group", columns=("group", "value", "rows", "before", "after"), rows=by_group),
            *((_table(left),) if left is not None else ()),
        ),
        notes=tuple(notes),
    )


def _left_out(args: argparse.Namespace, found: "Attribution", out: Path) -> "LeftOuts | None":
    if not args.leave_out:
        return None
    from ..distill.leave_out import leave_out

    groups = {
        kind: {value: [row.key for row in rows] for value, rows in found.members.get(kind, {}).items()}
        for kind in args.leave_out
    }
    with progress(None, "leave out") as bar:
        return leave_out(
            args.run_folder,
            args.student,
            groups,
            held_out=args.held_out,
            retrain=out / "left-out" if args.retrain else None,
            batch=args.batch,
            on_progress=lambda _what, done, total: bar.reach(done, total),
        )


def _table(left: "LeftOuts") -> Table:
    rows = tuple(
        (kind, value, str(one.rows), f"{one.influence:+.4f}", "-" if one.delta is None else f"{one.delta:+.4f}")
        for kind, values in left.groups.items()
        for value, one in values.items()
    )
    noise = "" if left.noise is None else f"; another seed changes it by {left.noise:.4f}"
    title = f"without each group: loss of {left.held_out} held-out traces, {left.loss:.4f} as trained{noise}"
    return Table(title=title, columns=("group", "value", "rows", "influence", "delta"), rows=rows)
