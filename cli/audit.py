"""`tenstep audit`: any dataset judged, as tables, as JSON and as a page."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from ..schemas.outcome import Outcome
from .arguments import once
from .engines import add_engine_options, executor_of
from .output import check_page_target
from .progress import progress

if TYPE_CHECKING:
    from ..curation.audit import Audit
    from ..data.executor import Executor

_AUDIT = """\
examples:
  tenstep audit traces.jsonl                                   a table
  tenstep audit traces.jsonl --json audit.json                 and every finding of every row
  tenstep audit traces.jsonl --html audit.html                 and a page with plots and worked examples
  tenstep audit runs/offline                                   a run: writes audit.json and audit.html into it
  tenstep audit theirs.parquet ours.jsonl --html both.html     two datasets side by side
  tenstep audit cot.csv --columns reasoning=cot,answer=final --steps any

input: JSON Lines, a JSON array, Parquet, CSV (each also as .gz), a folder of <id>/report.txt, a dataset that was saved
to disk, a study store or a run folder. A row has text (steps, then the report), or messages, or prompt and completion,
or reasoning and answer in columns, or Alpaca's output; and optionally id, reference_report, views, labels, patient_id,
has_prior, split. Reasoning may be ten numbered steps, think or LLaVA-CoT tags, "Step N:", (1), bullets or prose:
the steps or sentences that there are, are compared with the reference. Without reference_report, the rules that compare
the report with it are skipped, with a note. A row that cannot be read is named, the rest is audited, exit code 2.
"""
_APART = 1_000_000_000  # between the numbers of two datasets' cards


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    audit = commands.add_parser("audit", help="judge any chain-of-thought dataset", epilog=_AUDIT)
    audit.add_argument("paths", type=Path, metavar="PATH", nargs="+", help="one dataset, or several to compare")
    audit.add_argument("--html", type=Path, metavar="FILE", help="write a page; RUN/audit.html for a run folder")
    audit.add_argument(
        "--columns", metavar="LIST", help="what columns are called there: reasoning=cot,answer=final,id=uid"
    )
    audit.add_argument(
        "--layout",
        choices=("auto", "ours", "think", "tags", "step_word", "numbered", "bullets", "prose"),
        default="auto",
        help="how reasoning is written; ours is ten numbered steps, plain or tagged (auto: whatever it looks like)",
    )
    audit.add_argument(
        "--steps",
        choices=("10", "any"),
        default="10",
        help="any: another number or form of steps, bold text included, is no error (10)",
    )
    audit.add_argument("--images", action="store_true", help="open the films that rows name by path, and check them")
    add_engine_options(audit, classed=False)
    audit.set_defaults(run=_audit, json_keys=(frozenset({"rows", "accepted"}), frozenset({"datasets", "comparison"})))


def _audit(args: argparse.Namespace) -> Outcome:
    from ..curation.auditing.compare import compare
    from ..curation.auditing.items import is_run
    from ..curation.auditing.tables import comparison_table, summary_tables

    once(args.paths)
    if args.html is not None:
        check_page_target(args.html, "--html")
    paths: list[Path] = args.paths
    runs = [path for path in paths if is_run(path)] if len(paths) == 1 else []
    with ExitStack() as stack:
        found: list[Audit] = []
        executor = stack.enter_context(executor_of(args, reads=args.paths, data_class=args.data_class))
        for path in paths:
            found.append(
                stack.enter_context(_audited(path, len(found), args, executor, wanted=bool(args.html or runs)))
            )
        notes = [note if len(found) == 1 else f"{a.path}: {note}" for a in found for note in a.notes]
        notes += _written(found, args.html, runs)
        code, private = 2 if any(a.problems for a in found) else 0, any(a.restricted for a in found)
        if len(found) == 1:
            payload = found[0].as_dict() if args.json else found[0].summary()
            return Outcome(
                payload=payload, tables=summary_tables(found[0]), notes=tuple(notes), exit_code=code, private=private
            )
        payload = {
            "datasets": {str(a.path): a.as_dict() if args.json else a.summary() for a in found},
            "comparison": compare([(str(a.path), a.totals) for a in found]),
        }
        return Outcome(
            payload=payload, tables=(comparison_table(found),), notes=tuple(notes), exit_code=code, private=private
        )


def _audited(path: Path, at: int, args: argparse.Namespace, executor: "Executor", *, wanted: bool) -> "Audit":
    from ..curation.audit import audit
    from ..curation.auditing.examples import Examples
    from ..curation.auditing.items import count
    from ..curation.auditing.judged import Reader
    from ..curation.auditing.rows import read_mapping

    folder = path if path.is_dir() else path.parent
    reader = Reader(
        read_mapping(args.columns) if args.columns else {}, args.layout, args.steps, folder if args.images else None
    )
    several = len(args.paths) > 1
    examples = Examples(path.resolve().name if several else "", first=1 + at * _APART) if wanted else None
    with progress(count(path) if sys.stderr.isatty() else None, f"audit {path.name}") as bar:
        return audit(
            path,
            examples,
            lambda a: bar.advance(accepted=a.totals.accepted, doubted=a.totals.doubted, rejected=a.totals.rejected),
            reader=reader,
            executor=executor,
        )


def _written(found: "list[Audit]", page: Path | None, runs: list[Path]) -> list[str]:
    """Write pages and JSON; returns a note for each."""
    from ..curation.auditing.page import page as drawn
    from ..data.files import replacing

    private = any(a.restricted for a in found)
    notes = []
    if page is not None:
        try:
            with replacing(page, private=private) as stream:
                stream.writelines(drawn(found))
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror}); choose another --html", file=page) from None
        notes.append(f"{page}: plots and worked examples; open it in a browser")
    for run in runs:
        try:
            with replacing(run / "audit.json", private=private) as stream:
                stream.writelines(found[0].json())
            if page is None:
                with replacing(run / "audit.html", private=private) as stream:
                    stream.writelines(drawn(found))
        except OSError as error:
            notes.append(f"{run}: audit.json and audit.html could not be written there ({error.strerror})")
        else:
            notes.append(f"{run}: audit.json" + ("" if page else ", audit.html: open it in a browser"))
    return notes
