"""Ingest at full size: `python -m benchmarks.ingest [--rows N] [--films N] [--folder DIR]`.

Reports: a CheXpert Plus table of 452,000 made-up rows is read, beside a bare loop that reads the same CSV in chunks,
splits the sections and validates each row into a Study, and writes nothing. Both in processes of their own, with the
time, processor time and memory of all their processes; memory also at a tenth of the rows, to show that it does not
grow. Then a kill in the middle, and the same command again.

Images: made-up radiographs in JPEG are verified, hashed and measured by ingest, beside a bare Pillow loop that does
the same, one process each; then ingest again with two.
"""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .made_reports import write_table

BARE = """
import csv, re, sys
from pathlib import Path
from tenstep.schemas.study import Sections, Study

HEADER = re.compile(r"(?m)^(FINDINGS|IMPRESSION|CLINICAL HISTORY|COMPARISON|TECHNIQUE|NARRATIVE|END OF IMPRESSION):")
FIELDS = {"FINDINGS": "findings", "IMPRESSION": "impression", "CLINICAL HISTORY": "history",
          "COMPARISON": "comparison", "TECHNIQUE": "technique"}

def chunks(path):
    import pandas
    yield from pandas.read_csv(path, chunksize=5_000, dtype=str, keep_default_na=False)

kept = 0
for chunk in chunks(sys.argv[1]):
    for row in chunk.to_dict("records"):
        text = row["report"]
        parts = HEADER.split(text)
        found = {FIELDS[n]: b.strip() for n, b in zip(parts[1::2], parts[2::2]) if n in FIELDS}
        split, patient, study, _ = row["path_to_image"].split("/")
        Study(id=f"chexpert-plus/{patient}/{study}", patient_id=patient, source="chexpert-plus",
              data_class="restricted", views=(row["ap_pa"] or "lateral",), report=text, report_form="verbatim",
              sections=Sections(**found), split=split)
        kept += 1
print(kept)
"""

OURS = """
import sys
from pathlib import Path
from tenstep.data.ingest import ingest
from tenstep.data.processes import Processes
from tenstep.data.source import SourceOptions

if __name__ == "__main__":
    kind, path, out, workers, images = sys.argv[1:]
    options = SourceOptions(text_only=not images, images=Path(images) if images else None, data_class="public")
    store = ingest(kind, Path(path), Path(out), options, executor=Processes(int(workers)))
    print(len(store))
"""

FILMS = """
import hashlib, io, sys
from pathlib import Path
from PIL import Image

seen = 0
for path in sorted(Path(sys.argv[1]).glob("*/image.jpg")):
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        size = image.size
    seen += 1
print(seen)
"""


def kilobytes(pid: int) -> tuple[int, int]:
    """Resident and proportional memory of a process and its children, at this moment."""
    rss = pss = 0
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            more = kilobytes(int(child))
            rss, pss = rss + more[0], pss + more[1]
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                rss += int(line.split()[1])
            elif line.startswith("Pss:"):
                pss += int(line.split()[1])
    except (OSError, ValueError):  # it has ended
        pass
    return rss, pss


class Run(NamedTuple):
    """One run of a script, all its processes together: seconds on the clock and of processors, memory in MB."""

    said: str
    seconds: float
    cpu: float
    rss: float
    pss: float


def measured(code: Path, *words: str | int | Path) -> Run:
    """Run a script and wait for it."""
    highest = [0, 0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, code, *map(str, words)], stdout=subprocess.PIPE, text=True)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            rss, pss = kilobytes(child.pid)
            highest[:] = max(highest[0], rss), max(highest[1], pss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = child.communicate()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if child.returncode:
        raise SystemExit(f"{code.name} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(out.strip(), seconds, cpu, highest[0] / 1024, highest[1] / 1024)


def reports(folder: Path, rows: int) -> None:
    """Ingest beside the bare loop."""
    bare, ours = folder / "bare.py", folder / "ours.py"
    bare.write_text(BARE)
    ours.write_text(OURS)
    table = write_table(folder / "reports.csv", rows)
    tenth = write_table(folder / "tenth.csv", rows // 10)
    print(f"{rows:,} rows of CheXpert Plus, {table.stat().st_size / 1e6:,.0f} MB")
    heads()
    base = measured(bare, table)
    row("bare loop, 1 process, not written", rows, base, base)
    row("ingest, 1 worker", rows, measured(ours, "chexpert-plus", table, folder / "store1", 1, ""), base)
    two = measured(ours, "chexpert-plus", table, folder / "store2", 2, "")
    row("ingest, 2 workers", rows, two, base)
    tenth_base = measured(bare, tenth)
    row("bare loop, a tenth of the rows", rows // 10, tenth_base, tenth_base)
    row(
        "ingest, 2 workers, a tenth",
        rows // 10,
        measured(ours, "chexpert-plus", tenth, folder / "tenth", 2, ""),
        tenth_base,
    )
    killed = folder / "killed"
    child = subprocess.Popen([sys.executable, ours, "chexpert-plus", table, killed, "2", ""], start_new_session=True)
    time.sleep(two.seconds / 2)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    row("killed at half time: the rest", rows, measured(ours, "chexpert-plus", table, killed, 2, ""), base)
    same = all((folder / "store2" / file.name).read_bytes() == file.read_bytes() for file in killed.iterdir())
    size = sum(file.stat().st_size for file in killed.iterdir()) / 1e6
    print(
        f"{int(two.said):,} studies, {size:,.0f} MB; after the kill every file is {'the same' if same else 'ANOTHER'}"
    )
    reading(folder / "store2")


def reading(root: Path) -> None:
    """How quick a finished store is."""
    from tenstep.data.store.studies import StudyStore

    store = StudyStore.open(root)
    started = time.perf_counter()
    ids = [study.id for study in store]
    print(f"read in order: {len(ids) / (time.perf_counter() - started):,.0f} studies/s")
    order = np.random.default_rng(0).permutation(len(ids))[:500]
    for name, some in (("at random", [ids[i] for i in order]), ("in order", ids[:5_000])):
        started = time.perf_counter()
        for one in some:
            store.get(one)
        print(f"get, {name}: {(time.perf_counter() - started) / len(some) * 1e3:.2f} ms each")


def films(folder: Path, count: int) -> None:
    """Verifying images beside a bare Pillow loop."""
    bare, ours = folder / "films.py", folder / "ours.py"
    bare.write_text(FILMS)
    ours.write_text(OURS)
    source = folder / "films"
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:3056, 0:2544] / 3056
    for number in range(count):
        shade = 120 + 60 * np.sin(5 * x + number) * np.cos(4 * y) + random.normal(0, 6, x.shape)
        place = source / f"{number:05}"
        place.mkdir(parents=True)
        Image.fromarray(shade.clip(0, 255).astype(np.uint8)).save(place / "image.jpg", quality=95)
        (place / "report.txt").write_text("Findings: Clear.\nImpression: Normal.\n")
    size = sum(file.stat().st_size for file in source.rglob("*.jpg")) / count / 1e6
    print(f"\n{count} radiographs of 2544 x 3056 pixels, {size:.1f} MB each: read, verified, hashed, measured")
    heads()
    base = measured(bare, source)
    row("bare Pillow loop, 1 process", count, base, base)
    for workers in (1, 2):
        run = measured(ours, "folders", source, folder / f"films{workers}", workers, source)
        row(f"ingest, {workers} worker{'s' * (workers > 1)}", count, run, base)
        print(
            f"{'':34}{base.seconds / run.seconds:>9.0%} of the bare loop's rate; {base.cpu / run.cpu:.0%} per processor"
        )


def heads() -> None:
    """The table's head."""
    print(f"{'':34}{'seconds':>9}{'x bare':>8}{'rows/s':>9}{'CPU s':>8}{'x bare':>8}{'RSS MB':>9}{'PSS MB':>9}")


def row(name: str, count: int, run: Run, base: Run) -> None:
    """One line."""
    print(f"{name:34}{run.seconds:>9.1f}{run.seconds / base.seconds:>7.2f}x{count / run.seconds:>9,.0f}", end="")
    print(f"{run.cpu:>8.1f}{run.cpu / base.cpu:>7.2f}x{run.rss:>9.0f}{run.pss:>9.0f}", flush=True)


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: on a busy machine compare processor seconds")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=452_000)
    parser.add_argument("--films", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="for what is made; a temporary one, removed, if not given")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="tenstep-ingest-", dir=arguments.folder))
    try:
        if arguments.rows:
            reports(work, arguments.rows)
        if arguments.films:
            films(work, arguments.films)
    finally:
        shutil.rmtree(work)
