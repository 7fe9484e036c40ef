"""`tenstep demo`: the whole line on bundled data, offline, on a CPU. It runs the commands that it prints.

    films and reports ──► ingest ──► curate ──► audit ──► distil ──► sample ──► review.html
    (made here, seeded)              (mistakes made on purpose, repaired)  (unseen films)

This file is the story, told once; every part of it is somebody else's command.
"""

import argparse
import json
import sys
import time
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

from .schemas.errors import InputError
from .schemas.outcome import Outcome, Table

STUDIES, UNSEEN, UNSEEN_SEED = 400, 20, 100_000
_EPILOG = """\
examples:
  tenstep demo --out demo-out

Nothing is downloaded and nobody is asked: the films are phantoms made here, the teacher is a script that makes
labelled mistakes first, and the student is a tiny Llama-3.2-Vision with random weights. It shows the line, and no
medicine.
"""


class Story:
    """The stages of the demo in their folder."""

    def __init__(self, out: Path, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        self.out = out
        self.seconds: dict[str, float] = {}
        self._commands = commands

    def run(self, stage: str, *words: str | Path) -> dict[str, Any]:
        """Run a command as a user would, show what it says, and take its time."""
        line = [str(word) for word in words]
        sys.stderr.write(f"\n$ tenstep {' '.join(line)}\n")
        since = time.monotonic()
        args = self._commands.choices[line[0]].parse_args(line[1:])
        outcome: Outcome = args.run(args)
        self.seconds[stage] = round(time.monotonic() - since, 1)
        for table in outcome.tables:
            for row in table.rows:
                sys.stderr.write("  " + "  ".join(cell.ljust(26) for cell in row).rstrip() + "\n")
        for note in outcome.notes:
            sys.stderr.write(f"  {note}\n")
        return outcome.payload


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command; it calls the others through the same table."""
    demo = commands.add_parser("demo", help="the whole line, offline, on a CPU, in minutes", epilog=_EPILOG)
    demo.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR", help="a new folder (demo-out)")
    demo.set_defaults(run=lambda args: _demo(args, commands))


def _demo(args: argparse.Namespace, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Outcome:
    from .data.demo.folders import write_folders

    out: Path = args.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("is not an empty folder; remove it, or choose another --out", file=out)
    recipes = Path(str(resources.files(__package__ or "tenstep").joinpath("data", "demo")))
    story = Story(out, commands)
    since = time.monotonic()

    write_folders(out / "films", STUDIES)
    ours = ("--form", "four-header", "--data-class", "public")
    story.run("ingest", "ingest", "folders", out / "films", *ours, "--out", out / "studies")
    curated = story.run(
        "curate", "curate", recipes / "curate.yaml", "--studies", out / "studies", "--out", out / "runs" / "curate"
    )
    story.run("audit", "audit", out / "runs" / "curate")
    story.run(
        "distill", "distill", recipes / "distill.yaml", "--run", out / "runs" / "curate", "--out", out / "student"
    )
    write_folders(out / "unseen-films", UNSEEN, first_seed=UNSEEN_SEED, defects=False)
    story.run("ingest unseen", "ingest", "folders", out / "unseen-films", *ours, "--out", out / "unseen")
    story.run("sample", "sample", out / "student", "--studies", out / "unseen", "--out", out / "runs" / "sample")
    page = out / "review.html"
    story.run("review", "review", out / "runs" / "curate", out / "runs" / "sample", "--out", page)
    story.seconds["all"] = round(time.monotonic() - since, 1)
    summary = _summary(out, story.seconds)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    samples = summary["samples"]
    rows = (
        ("studies", f"{summary['studies']}, and {summary['source_rejects']} source rows that could not become one"),
        ("accepted traces", f"{summary['accepted']}, of them {summary['repaired']} after a repair"),
        ("in doubt", f"{summary['doubted']}: they wait for a verifier or a reader"),
        ("rejected", str(summary["rejected"])),
        (
            "student's samples",
            f"{samples['well_formed']} of {samples['n']} well-formed; accepted {samples['accepted']}, "
            f"in doubt {samples['doubted']}, rejected {samples['rejected']}",
        ),
        ("seconds", str(story.seconds["all"])),
    )
    notes = (
        f"open {page} in a browser: every film, its ten steps, its report, and what was found",
        f"accepted traces: {out / 'runs' / 'curate' / 'accepted.jsonl'}",
        f"the student: {out / 'student'}; its samples: {out / 'runs' / 'sample' / 'samples.jsonl'}",
        "research and education only: a phantom's report is no medical advice",
    )
    assert curated["accepted"] == summary["accepted"], "the run folder and the command disagree"
    return Outcome(payload=summary, tables=(Table(title="tenstep demo", columns=("", ""), rows=rows),), notes=notes)


def _summary(out: Path, seconds: dict[str, float]) -> dict[str, Any]:
    """Counted from the folders, not from what the commands said."""
    from .data.run import RunFolder
    from .data.store.studies import StudyStore
    from .distill.sample import well_formed

    store = StudyStore.open(out / "studies")
    with RunFolder.read(out / "runs" / "curate") as run:
        counts = run.manifest.counts
    with RunFolder.read(out / "runs" / "sample") as run:
        judged = list(run.judged())
    outcomes = Counter(verdict.outcome for _, verdict in judged)
    return {
        "studies": len(store),
        "source_rejects": sum(1 for _ in store.rejected()),
        "accepted": counts["accepted"],
        "doubted": counts["doubted"],
        "rejected": counts["rejected"],
        "repaired": counts["repaired"],
        "samples": {
            "n": len(judged),
            "well_formed": sum(well_formed(verdict) for _, verdict in judged),
            "accepted": outcomes["accept"],
            "doubted": outcomes["doubt"],
            "rejected": outcomes["reject"],
        },
        "seconds": seconds,
    }
