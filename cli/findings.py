"""`tenstep findings`: what each text of a JSONL file asserts, one object a line."""

import argparse
from pathlib import Path
from typing import Any

from ..schemas.outcome import Outcome, Table
from .engines import add_engine_options, executor_of
from .progress import progress

_NAMED = 20  # rows that cannot be read
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
    add_engine_options(findings, classed=False)
    findings.set_defaults(run=_findings, json_keys=(frozenset({"id", "findings"}),))


def _findings(args: argparse.Namespace) -> Outcome:
    from collections import Counter

    from ..curation.findings import findings_of
    from ..data.formats.json_lines import json_lines

    records: list[dict[str, Any]] = []
    problems: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    reasons: list[tuple[str, ...]] = []
    with executor_of(args, data_class=args.data_class) as executor, progress(None, "findings") as bar:
        lines = json_lines(args.path)
        for row, record, problem in findings_of(lines, explain=args.explain, executor=executor):
            bar.advance()
            if record is None:
                problems.append(f"{args.path}: row {row}: {problem}")
                continue
            records.append(record)
            found = record["findings"]
            counts.update({(item["finding"], item["status"]) for item in found})
            if args.explain:
                reasons += (
                    (str(record["id"]), i["text"], i["finding"], i["status"], "; ".join(i["because"])) for i in found
                )
    names = sorted({name for name, _ in counts}, key=lambda name: -counts[name, "present"])
    rows = tuple((n, *(str(counts[n, status]) for status in ("present", "uncertain", "absent"))) for n in names)
    columns = ("finding", "present", "uncertain", "absent")
    tables = [Table(title=f"texts with a finding, of {len(records)}", columns=columns, rows=rows)]
    if args.explain:
        why = ("id", "words", "finding", "status", "because")
        tables.append(Table(title="what made each claim", columns=why, rows=tuple(reasons)))
    more = len(problems) - len(problems[:_NAMED])
    return Outcome(
        payload={"rows": len(records)},
        records=tuple(records),
        tables=tuple(tables),
        notes=(*problems[:_NAMED], *([f"and {more:,} more rows that cannot be read"] if more else ())),
        exit_code=2 if problems else 0,
    )
