"""The command line as a whole: composes the commands, and prints what one returns.

Exit codes: 0 it ran, 1 a fault of ours, 2 an error the user can mend (one line that says how), 130 interrupted.
With --json, standard output is one JSON object (or one a line, where a command says so), errors included.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .. import __version__, demo
from ..schemas.errors import InputError, TenstepError
from ..schemas.outcome import Outcome
from . import (
    agreement,
    audit,
    curate,
    distill,
    evaluate,
    findings,
    infer,
    ingest,
    judge,
    merge,
    probe,
    publish,
    recheck,
    review,
    sample,
    sections,
    split,
    status,
)

_COMMANDS = (
    demo,
    ingest,
    sections,
    split,
    curate,
    status,
    audit,
    recheck,
    judge,
    agreement,
    probe,
    review,
    findings,
    distill,
    sample,
    evaluate,
    merge,
    infer,
    publish,
)
EPILOG = """\
examples:
  tenstep demo --out demo-out
  tenstep ingest open-i NLMCXR_reports.tgz --text-only --out studies
  tenstep curate examples/recipes/offline.yaml --studies studies --out runs/offline
  tenstep audit traces.jsonl --json audit.json

For research and education. Not a medical device, and no medical advice.
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with errors raised like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = _Parser(
        prog="tenstep",
        description="Curate ten-step chain-of-thought datasets for chest X-ray reporting.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"tenstep {__version__}")
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.register(commands)
    for command_parser in commands.choices.values():
        command_parser.formatter_class = argparse.RawDescriptionHelpFormatter
        command_parser.add_argument(
            "--json", nargs="?", const="-", metavar="OUT", help="print JSON for machines, or write it to OUT"
        )
        command_parser.add_argument("--traceback", action="store_true", help=argparse.SUPPRESS)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; those of the process if not given.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    target = "-" if "--json" in words else None
    try:
        args = parser().parse_args(words)
        target = args.json
        outcome: Outcome = args.run(args)
        _show(outcome, target)
        return outcome.exit_code
    except TenstepError as error:
        if target:
            _write(json.dumps({"error": error.as_dict()}), target)
        sys.stderr.write(f"tenstep: {error}\n")
        return 2
    except KeyboardInterrupt:
        if target:
            _write(json.dumps({"error": {"kind": "Interrupted", "message": "interrupted"}}), target)
        sys.stderr.write("tenstep: interrupted\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader left; python would complain once more at exit
        return 141
    except Exception as error:
        if not target or "--traceback" in words:
            raise
        # the text of an unforeseen error may quote data, so only its kind leaves
        _write(
            json.dumps(
                {"error": {"kind": type(error).__name__, "message": "a fault in tenstep; run again with --traceback"}}
            ),
            target,
        )
        return 1


def _show(outcome: Outcome, target: str | None) -> None:
    if target:
        rows = [outcome.payload] if outcome.records is None else outcome.records
        lines = "\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
        _write(lines, target, mode=0o600 if outcome.private else 0o666)
    if target == "-":
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(soft_wrap=False)
    for table in outcome.tables:
        title = Text(table.title) if table.title else None
        drawn = Table(title=title, title_justify="left", show_header=any(table.columns))
        for column in table.columns:
            drawn.add_column(Text(column))
        for row in table.rows:
            drawn.add_row(*map(Text, row))
        console.print(drawn)
    for note in outcome.notes:
        console.print(Text(note), soft_wrap=True)


def _write(text: str, target: str, mode: int = 0o666) -> None:
    if target == "-":
        sys.stdout.write(text + "\n")
        return
    try:
        with open(target, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, mode)) as stream:
            if mode == 0o600 and Path(target).is_file():  # an old file would keep its old permissions
                os.fchmod(stream.fileno(), mode)
            stream.write(text + "\n")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", file=target) from None
