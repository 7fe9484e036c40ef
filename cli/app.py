"""The command line as a whole: composes the commands, and prints what one returns.

Exit codes: 0 it ran, 1 a fault of ours, 2 an error the user can mend (one line that says how), 130 interrupted, 141 the
reader of standard output left.
With --json, standard output is one JSON object (or one a line, where a command says so), errors included.
Only the command that is called is imported, so that help is there at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, NoReturn

from ..schemas.errors import InputError, TenstepError, advice, why
from ..schemas.version import __version__
from .arguments import read_as, usable_path
from .output import check_json_target, say, show, write_json
from .places import localize
from .streams import open_streams, print_nowhere, reader_left

if TYPE_CHECKING:
    from ..schemas.outcome import Outcome

# one file of this folder each, which says more
COMMANDS = {
    "demo": "everything from images to a student, offline, on a CPU, in minutes",
    "ingest": "read a source into a study store",
    "sections": "split MIMIC-CXR reports into sections by the official rules",
    "split": "split studies by patient into train, validate and test; find what they share",
    "curate": "let a teacher write traces for studies, judge them, and have them repaired",
    "merge-runs": "one run folder from the runs of several shards",
    "answer": "ask a server the questions of a file teacher",
    "status": "where a run stands, what it cost and will cost",
    "errors": "failures of a run, grouped by reason",
    "compare": "two runs over the same studies, study by study",
    "audit": "judge any chain-of-thought dataset",
    "recheck": "judge a run again: by today's rules, other severities, a verifier",
    "verify": "let a second model resolve a run's doubts",
    "calibrate": "measure a verifier on labelled traces",
    "judge": "let a model of another family score a run's traces",
    "agreement": "how far raters agree on the same traces",
    "probe": "measure whether a teacher's steps follow the image or only the report",
    "review": "read traces on a page, or decide on them in a browser",
    "reviews": "what readers have decided: agreement, figures of the rules, files out and in",
    "findings": "list what each text of a file asserts, denies or leaves open",
    "select": "a small set: quality, then difficulty, then diversity, within quotas",
    "export": "a dataset in the form that a trainer reads",
    "join": "add reports and images to an export of restricted studies, from one's own copy of them",
    "distill": "train a student on the accepted traces of a run",
    "ablate": "measure what curation is worth: students that differ in one thing",
    "attribute": "rank a run's traces by how unlikely they are to a student",
    "sample": "sample a student or a base on studies, and judge its answers",
    "evaluate": "measure a student's reports against the references",
    "merge": "make standalone weights of base and adapter",
    "infer": "ask a student about images",
    "rules": "what a code means, and how precise it is",
    "recipe": "recipes to start from, and what their keys mean",
    "doctor": "what is installed and what is missing",
    "publish": "check what would be published, and what must not be",
}
EPILOG = """\
examples:
  tenstep demo --out demo-out
  tenstep ingest open-i NLMCXR_reports.tgz --text-only --out studies
  tenstep curate examples/recipes/offline.yaml --studies studies --out runs/offline
  tenstep audit traces.jsonl --json audit.json

For research and education. Not a medical device, and no medical advice.
"""


# what the same word means in every command, where a command does not say it itself
_MEANINGS = {
    "RUN": "a run folder: what tenstep curate or tenstep sample wrote",
    "RECIPE": "a recipe, a YAML file; some ship: tenstep recipe",
    "NAME": "a recipe that ships",
    "FILE.jsonl": "texts, one JSON object a line",
    "--seed": "of everything that is drawn",
}


class _Parser(argparse.ArgumentParser):
    """argparse, with errors raised like all others, and an explanation of every argument."""

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """See argparse."""
        word = next((str(word) for word in (options.get("metavar"), *names) if str(word) in _MEANINGS), None)
        if "type" in options:
            options["type"] = read_as(options["type"])
        return super().add_argument(*names, **({"help": _MEANINGS[word]} if word else {}) | options)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def _target(text: str) -> str:
    return str(usable_path(text))


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26)


def parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The command line.

    Args:
        words: the arguments; only the command that they name is imported, the others are there by name. All if none.
    """
    root = _Parser(
        prog="tenstep",
        description="Curate ten-step chain-of-thought datasets for chest X-ray reporting.",
        epilog=EPILOG,
        formatter_class=_formatter,
    )
    root.add_argument("--version", action="version", version=f"tenstep {__version__}")
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    called = COMMANDS if words is None else {next((word for word in words if word in COMMANDS), "")}
    for name, what in COMMANDS.items():
        if name in called or "demo" in called:  # the demo runs others
            import_module(f".{name.replace('-', '_')}", __package__).register(commands)
        else:
            commands.add_parser(name, help=what)
    for name, command in commands.choices.items():
        command.formatter_class = _formatter
        about = command.description or f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}."
        command.description = about if "\n" in about else fill(about, max(get_terminal_size().columns - 2, 20))
        command.add_argument(
            "--json",
            nargs="?",
            const="-",
            type=_target,
            metavar="OUT",
            help="print JSON for machines, or write it to OUT",
        )
        command.add_argument("--traceback", action="store_true", help=argparse.SUPPRESS)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; those of the process if not given.

    Returns:
        The exit code.
    """
    open_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    target = "-" if "--json" in words else None
    try:
        args = parser(words).parse_args(words)
        upload = localize(args)
        check_json_target(args)
        target = args.json
        outcome: Outcome | None = None if upload and upload.is_ready(words) else args.run(args)
        if upload:
            outcome = upload.finish(outcome)
        assert outcome is not None  # either it ran or it was uploaded
        if _follows():
            return outcome.exit_code
        _print(outcome, target)
        return outcome.exit_code
    except TenstepError as error:
        return _failed(error, target)
    except KeyboardInterrupt:
        say("tenstep: interrupted")
        _tell_machines({"kind": "Interrupted", "message": "interrupted"}, target)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_left():
            print_nowhere()
            return 141
        if "--traceback" in words:
            raise
        if (mendable := _of_the_machine(error)) is not None:
            return _failed(mendable, target)
        message = f"a fault in tenstep ({type(error).__name__}); {_written_down(error)}"
        say(f"tenstep: {message}")
        _tell_machines({"kind": type(error).__name__, "message": message}, target)
        return 1


def _print(outcome: "Outcome", target: str | None) -> None:
    try:
        if target:
            rows = [outcome.payload] if outcome.records is None else outcome.records
            write_json(rows, target, private=outcome.private)
        if target != "-":
            show(outcome)
        elif outcome.exit_code:
            for note in outcome.notes:  # what JSON may not hold: why the exit code is not 0
                say(note)
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        print_nowhere()
        raise InputError(f"cannot be written ({error.strerror})", file="standard output") from None


def _follows() -> bool:
    """Whether this is one of several processes that torchrun started, and not the first, which speaks for all."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK", "0") != "0"


def _failed(error: TenstepError, target: str | None) -> int:
    say(f"tenstep: {error}")
    _tell_machines(error.as_dict(), target)
    return 2


def _tell_machines(error: dict[str, object], target: str | None) -> bool:
    if not target:
        return False
    with suppress(
        InputError, OSError
    ):  # what could not be written before is not written now; the line stands on stderr
        write_json([{"error": error}], target)
    return True


def _written_down(error: Exception) -> str:
    """Where the traceback lies: it may quote data, so it goes into a file of the user's own and not to the screen."""
    import traceback
    from tempfile import NamedTemporaryFile

    from ..data.secrets import without_secrets

    try:
        with NamedTemporaryFile(
            "w", prefix="tenstep-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(without_secrets("".join(traceback.format_exception(error))))
    except OSError:
        return "run it again with --traceback, and report what that prints, without your data"
    return f"please report it with {file.name}, from which you take out what is your data"


def _of_the_machine(error: Exception) -> TenstepError | None:
    """A disk that is full or read-only, a folder that was removed, a file that may not be read: the user's to mend."""
    if isinstance(error, OSError):
        several = error.args[0] if error.args and isinstance(error.args[0], list) else None  # of a copied folder
        what = str(several[0][2]) if several else error.strerror or f"{type(error).__name__}: {error}"
        return InputError(f"cannot be read or written ({what[:200]}){advice(what)}", file=error.filename)
    if type(error).__module__ == "sqlite3":  # a full or read-only disk under a journal or an index
        what = f"a database of the run or the store cannot be read or written ({why(error)})"
        return InputError(f"{what}; see that its disk has room and that you may write there")
    return None
