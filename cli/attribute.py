"""`tenstep attribute`."""

import argparse
import json
from pathlib import Path

from ..schemas.outcome import Outcome, Table
from .arguments import positive
from .progress import progress

_EXAMPLES = """\
examples:
  tenstep attribute runs/curated student
  tenstep attribute runs/curated student --traces accepted --out attribution

the loss of each trace before and after training, the highest first: a wrong trace among right ones stays unlikely, so
the top of attribution.jsonl is where to look. Without --out it lies in RUN/attribution, where tenstep review RUN finds
it: ranks stand at the traces, and --serve --queue loss reads the highest loss first
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tenstep attribute`."""
    parser = commands.add_parser("attribute", help="which traces a student knows least", epilog=_EXAMPLES)
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a curation run, or a selection")
    parser.add_argument("student", type=Path, metavar="STUDENT", help="what tenstep distill wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="attribution.jsonl and .json (RUN/attribution)")
    parser.add_argument(
        "--traces", choices=("first", "accepted"), default="first", help="every first answer, or the examples (first)"
    )
    parser.add_argument("--batch", type=positive, default=8, metavar="N", help="traces at once (8)")
    parser.set_defaults(run=_attribute, json_keys=(frozenset({"rows", "groups", "auc"}),))


def _attribute(args: argparse.Namespace) -> Outcome:
    from ..data.attribution import FILE, FOLDER
    from ..data.files import replace_text
    from ..distill.attribute import attribute

    with progress(None, "attribute") as bar:
        behind = 0

        def on_progress(done: int, total: int) -> None:
            nonlocal behind
            bar.advance(done - behind, total=total)
            behind = done

        found = attribute(args.run_folder, args.student, source=args.traces, batch=args.batch, on_progress=on_progress)
    groups = {
        kind: {value: group.model_dump() for value, group in values.items()} for kind, values in found.groups.items()
    }
    out = args.out or args.run_folder / FOLDER
    payload = {
        "out": str(out),
        "student": str(args.student),
        "rows": len(found.rows),
        "groups": groups,
        "auc": found.auc,
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
        ),
        notes=tuple(notes),
    )
