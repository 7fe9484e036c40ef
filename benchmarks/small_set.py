"""A small set out of many: `python -m benchmarks.small_set [--rows 20000] [--n 300]`.

Makes a run of so many accepted examples (made-up reports, the checklist's steps varied by a seed), selects from it in a
fresh process, and prints seconds, memory, and how well the selection and three baselines of the same size cover the
pool. Then once more with one thread and the runs' halves in the other order: is it the same set?
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tenstep.data.judged import judged_event
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.study import Study
from tenstep.schemas.verdict import Verdict
from tenstep.validators.reading import read_candidate
from tenstep.validators.rule import STEPS

from .made_reports import sentences

SELECT = """
import resource, sys, time
from pathlib import Path
from tenstep.curation.selecting.select import SelectOptions, select
since = time.monotonic()
found = select([Path(p) for p in sys.argv[3:]], SelectOptions(n=int(sys.argv[1])), Path(sys.argv[2]))
print(time.monotonic() - since, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def made_run(folder: Path, rows: range) -> Path:
    """A run whose examples are all accepted."""
    chance = random.Random(rows.start)
    with StudyStore.create(folder / "studies", "made") as writer:
        for number in rows:
            findings, impression = sentences(chance, chance.randrange(4, 9)), sentences(chance, 1)
            report = f"Technique: Chest.\nView: PA\nFindings: {findings}\nImpression: {impression}"
            writer.add(
                Study(
                    id=f"made/{number}",
                    patient_id=f"p{number}",
                    source="made",
                    data_class="public",
                    views=(chance.choice(("PA", "AP", "lateral")),),
                    report=report,
                    report_form="four-header",
                )
            )
    store = StudyStore.open(folder / "studies")
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "made", "teachers": [{"kind": "checklist"}]})
    with RunFolder.open(folder / "run", kind="curate", recipe=recipe, studies=store) as run:
        events = []
        for study in store:
            said = study.report.splitlines()[2].removeprefix("Findings: ").split("  ")[:4]
            steps = [f"{text.rstrip('.')}, field {chance.randrange(9)}." for text in STEPS]
            steps[4 : 4 + len(said)] = said
            text = "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1))
            candidate = read_candidate(text, study.id, author="teacher", writes_report=False)
            key = hashlib.sha256(study.id.encode()).hexdigest()
            events.append(judged_event(candidate.model_copy(update={"key": key}), Verdict()))
        run.journal.append(*events).result()
        run.finish()
    return folder / "run"


def measured(n: int, out: Path, runs: list[Path], threads: int) -> tuple[float, float]:
    """Seconds and MB of a selection in a fresh process."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    words = [sys.executable, "-c", SELECT, str(n), str(out), *map(str, runs)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def chosen(out: Path) -> set[str]:
    """The content hashes of a selection."""
    return {row["id"] for row in json.loads((out / "selection.json").read_text())["rows"]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--n", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, half = Path(scratch), args.rows // 2
        runs = [made_run(folder / "a", range(half)), made_run(folder / "b", range(half, args.rows))]
        seconds, megabytes = measured(args.n, folder / "one", runs, 2)
        print(f"{args.n} of {args.rows:,}: {seconds:.1f} s, {megabytes:.0f} MB")
        for name in (".", "baselines/random", "baselines/hard-random", "baselines/domain"):
            found = json.loads((folder / "one" / name / "selection.json").read_text())
            groups = sum(group.startswith("finding:") for group in found["chosen"])
            print(f"  {found['method']:12} likeness of the pool {found['coverage']:.4f}, {groups} findings")
        for stage in json.loads((folder / "one" / "selection.json").read_text())["stages"]:
            print(f"  {stage['name']:16} {stage['before']:,} to {stage['after']:,}")
        seconds, _ = measured(args.n, folder / "other", runs[::-1], 1)
        same = chosen(folder / "one") == chosen(folder / "other")
        print(f"one thread, runs in the other order: {seconds:.1f} s, the same set: {same}")


if __name__ == "__main__":
    main()
