"""The demo: the whole pipeline on bundled data, offline, on a CPU. It runs the commands that it prints.

    films and reports ──► ingest ──► curate ──► audit ──► distil ──► sample ──► review.html
    (made here, seeded)              (mistakes made on purpose, repaired)  (unseen films)

This file is the story, told once; every part of it is a command of its own.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .data.files import in_use
from .schemas.errors import InputError, MissingExtraError
from .schemas.outcome import Outcome, Table

STUDIES, UNSEEN, UNSEEN_SEED = 400, 20, 100_000
WORTH_STUDIES, WORTH_UNSEEN = 260, 100  # rejection leaves some 200 of them
Run = Callable[[Sequence[str]], Outcome]


def tell(out: Path, run: Run) -> Outcome:
    """Run the demo.

    Args:
        out: a folder that is empty or does not exist.
        run: runs one command, given its words, and shows what it says.

    Raises:
        InputError: the folder is in use.
        MissingExtraError: the student's libraries are not installed.
    """
    from .data.demo.folders import write_folders

    recipes = _begin(out)
    curate, sample, page = out / "runs" / "curate", out / "runs" / "sample", out / "review.html"
    seconds: dict[str, float] = {}
    since = time.monotonic()

    def stage(name: str, *words: str | Path) -> dict[str, Any]:
        before = time.monotonic()
        payload = run([str(word) for word in words]).payload
        seconds[name] = round(time.monotonic() - before, 1)
        return payload

    write_folders(out / "films", STUDIES)
    ours = ("--form", "four-header", "--data-class", "public")
    stage("ingest", "ingest", "folders", out / "films", *ours, "--out", out / "studies")
    curated = stage("curate", "curate", recipes / "curate.yaml", "--studies", out / "studies", "--out", curate)
    stage("audit", "audit", curate)
    stage("distill", "distill", recipes / "distill.yaml", "--run", curate, "--out", out / "student")
    write_folders(out / "unseen-films", UNSEEN, first_seed=UNSEEN_SEED, defects=False)
    stage("ingest unseen", "ingest", "folders", out / "unseen-films", *ours, "--out", out / "unseen")
    stage("sample", "sample", out / "student", "--studies", out / "unseen", "--out", sample)
    stage("review", "review", curate, sample, "--out", page)
    seconds["all"] = round(time.monotonic() - since, 1)
    summary = _summary(out, seconds)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    assert curated["accepted"] == summary["accepted"], "the run folder and the command disagree"
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
        ("seconds", str(seconds["all"])),
    )
    notes = (
        f"open {page} in a browser: every film, its ten steps, its report, and what was found",
        f"accepted traces: {curate / 'accepted.jsonl'}",
        f"the student: {out / 'student'}; its samples: {sample / 'samples.jsonl'}",
        "research and education only: a phantom's report is no medical advice",
    )
    return Outcome(payload=summary, tables=(Table(title="tenstep demo", columns=("", ""), rows=rows),), notes=notes)


def _begin(out: Path) -> Path:
    """Check that the demo can run; the folder of its recipes."""
    if in_use(out):
        raise InputError("is not an empty folder; remove it, or choose another --out", file=out)
    _check_libraries()
    return Path(str(resources.files(__package__ or "tenstep").joinpath("data", "demo")))


def worth(out: Path, run: Run) -> Outcome:
    """What curation is worth: a biased teacher, and students of its first, its accepted and its repaired answers.

    Args:
        out: a folder that is empty or does not exist.
        run: as for `tell`.

    Raises:
        InputError: the folder is in use.
        MissingExtraError: the student's libraries are not installed.
    """
    from .data.demo.folders import write_folders

    recipes = _begin(out)
    since = time.monotonic()
    for name, count, first in (("studies", WORTH_STUDIES, 0), ("unseen", WORTH_UNSEEN, UNSEEN_SEED)):
        films = write_folders(out / f"{name}-films", count, first_seed=first, defects=False)
        ours = ("--form", "four-header", "--data-class", "public")
        run(["ingest", "folders", str(films), *ours, "--out", str(out / name)])
    curated = str(out / "runs" / "biased")
    run(["curate", str(recipes / "biased.yaml"), "--studies", str(out / "studies"), "--out", curated])
    words = ["--run", curated, "--unseen", str(out / "unseen"), "--out", str(out / "ablation")]
    found = run(["ablate", str(recipes / "ablate.yaml"), *words]).payload
    (hearts,) = (row for row in found["rows"] if row["figure"] == "Cardiomegaly seen, steps")
    rows = [(arm, *(f"{hearts['arms'][arm][key]:.2f}" for key in ("value", "low", "high"))) for arm in found["arms"]]
    seconds = round(time.monotonic() - since, 1)
    title = "enlarged hearts that the student's steps see"
    return Outcome(
        payload={"out": str(out), "seconds": seconds, "hearts": hearts, "case_mix": found["case_mix"]},
        tables=(Table(title=title, columns=("trained on", "share", "from", "to"), rows=tuple(rows)),),
        notes=(
            "the teacher called 60 % of enlarged hearts normal; unfiltered is what it wrote first, rejected is what "
            "the rules let pass of that, curated is with repair",
            "rejection also changes which studies are trained on, which shows in other findings: see the case mix",
            f"open {out / 'ablation' / 'ablation.html'} in a browser: every figure, interval and test",
            f"{seconds} seconds; phantoms, one seed: it shows the effect of a bias, and no medicine",
        ),
    )


def _check_libraries() -> None:
    """See that the student's libraries are there before a minute is spent on what comes before it.

    Raises:
        MissingExtraError: one is not.
    """
    absent = [name for name in ("torch", "transformers", "trl", "peft", "bitsandbytes") if find_spec(name) is None]
    if absent:
        raise MissingExtraError("distill", f"the demo trains a tiny student, and {', '.join(absent)}")


def _summary(out: Path, seconds: dict[str, float]) -> dict[str, Any]:
    """Counted from the folders, not from what the commands said."""
    from .data.run import RunFolder
    from .data.store.studies import StudyStore
    from .validators.samples import well_formed

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
