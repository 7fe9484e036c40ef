"""`tenstep demo`: the whole pipeline on bundled data; the story is in demo.py, and its commands run here."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..schemas.outcome import Outcome
from .output import say, show

_EPILOG = """\
examples:
  tenstep demo --out demo-out
  tenstep demo --worth --out worth-out      what curation is worth: students of a biased teacher, before and after

Nothing is downloaded and no model is asked: the films are phantoms made here, the teacher is a script that makes
labelled mistakes first, and the student is a tiny Llama-3.2-Vision with random weights. It shows how the parts work
together, and no medicine.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command; it calls the others through the same table."""
    demo = commands.add_parser(
        "demo", help="everything from images to a student, offline, on a CPU, in minutes", epilog=_EPILOG
    )
    demo.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR", help="a new folder (demo-out)")
    demo.add_argument("--worth", action="store_true", help="measure what curation is worth, in some minutes")

    def run(words: Sequence[str]) -> Outcome:
        """Run a command as a user would, and show what it says, on stderr."""
        say(f"\n$ tenstep {' '.join(words)}")
        args = commands.choices[words[0]].parse_args(words[1:])
        outcome: Outcome = args.run(args)
        show(outcome, sys.stderr)
        return outcome

    def demo_command(args: argparse.Namespace) -> Outcome:
        from ..demo import tell, worth

        return (worth if args.worth else tell)(args.out, run)

    demo.set_defaults(
        run=demo_command,
        json_keys=(frozenset({"studies", "source_rejects", "samples"}), frozenset({"hearts", "case_mix"})),
    )
