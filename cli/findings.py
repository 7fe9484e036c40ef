"""`tenstep findings`: what each text of a JSONL file asserts, one object a line."""

import argparse
from pathlib import Path
from typing import Any

from ..schemas.outcome import Outcome, Table

_EPILOG = """\
examples:
  tenstep findings texts.jsonl --json findings.jsonl
  tenstep findings texts.jsonl --explain      # every claim with the phrases, pairs and parts of the reader that made it

input: one JSON object a line with id and text. Output: one object a line, {"id", "findings": [{"finding", "status",
"side", "place", "text", "span"}]}; span is [start, end) in the text. With --explain each finding also has "strength"
and "because". A line that cannot be read is named and left out.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    findings = commands.add_parser("findings", help="what each text of a file asserts", epilog=_EPILOG)
    findings.add_argument("path", type=Path, metavar="FILE.jsonl")
    findings.add_argument("--explain", action="store_true", help="say of each claim what made it")
    findings.set_defaults(run=_findings, json_keys=(frozenset({"id", "findings"}),))


def _findings(args: argparse.Namespace) -> Outcome:
    from collections import Counter

    from ..data.formats.json_lines import json_lines
    from ..validators.findings import claims

    records: list[dict[str, Any]] = []
    problems: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    reasons: list[tuple[str, ...]] = []
    for line in json_lines(args.path):
        row = line.found or {}
        row_id, text = row.get("id"), row.get("text")
        if not isinstance(row_id, str | int) or not isinstance(text, str):
            problem = line.problem or "a string 'id' and a string 'text' are wanted"
            problems.append(f"{args.path}: row {line.row}: {problem}")
            continue
        read = claims(text)
        found = [
            {
                "finding": claim.finding,
                "status": claim.status,
                "side": claim.side,
                "place": ", ".join(claim.place) or None,
                "text": claim.text,
                "span": list(claim.span),
                **({"strength": claim.strength, "because": list(claim.because)} if args.explain else {}),
            }
            for claim in read
        ]
        if args.explain:
            reasons += (
                (str(row_id), claim.text, claim.finding, claim.status, "; ".join(claim.because)) for claim in read
            )
        counts.update({(str(item["finding"]), str(item["status"])) for item in found})
        records.append({"id": row_id, "findings": found})
    names = sorted({name for name, _ in counts}, key=lambda name: -counts[name, "present"])
    rows = tuple((n, *(str(counts[n, status]) for status in ("present", "uncertain", "absent"))) for n in names)
    columns = ("finding", "present", "uncertain", "absent")
    tables = [Table(title=f"texts with a finding, of {len(records)}", columns=columns, rows=rows)]
    if args.explain:
        why = ("id", "words", "finding", "status", "because")
        tables.append(Table(title="what made each claim", columns=why, rows=tuple(reasons)))
    return Outcome(
        payload={"rows": len(records)},
        records=tuple(records),
        tables=tuple(tables),
        notes=tuple(problems),
        exit_code=2 if problems else 0,
    )
