"""What the journal costs, and what it loses: `python -m benchmarks.journal [--kills 200]`.

Records a second with 64 requests under way, beside the same records appended to a JSON-lines file with one fsync
each, and beside SQLite with one commit each, in one run. Then a real `tenstep curate` is killed with SIGKILL at
random moments and continued, again and again; whatever was lost, or asked twice, is counted.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from tenstep.data.journal import Journal
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.run import Event, State
from tenstep.schemas.study import Study

RECORDS, UNDER_WAY, BODY = 20_000, 64, {"text": "x" * 2_000}


@dataclass
class Losses:
    """What many kills did to one run."""

    kills: int
    studies: int
    lost_answers: int  # received, but not in the journal any more
    asked_twice: int  # more questions than the run's own unknowns explain
    unfinished: int  # studies without a verdict in the end
    resent: int  # sent again after a kill, as the recipe allowed


def kill_and_continue(folder: Path, *, kills: int, studies: int, seed: int = 0) -> Losses:
    """Curate `studies` studies with a scripted teacher while the process is killed `kills` times, then let it end.

    Requests that a kill left without an answer are not sent again until the last call, which is told to.
    """
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with StudyStore.create(folder / "studies", "kill") as writer:
        for n in range(studies):
            study = Study(
                id=f"kill/{n}", patient_id=str(n), source="kill", data_class="public",
                report=f"Findings: The heart is normal in size. Film {n}.", report_form="verbatim",
            )  # fmt: skip
            writer.add(study)
    log = folder / "asked.log"
    (folder / "recipe.yaml").write_text(
        "kind: curate\nname: kill\nconcurrency: 16\nresend_unknown: 'no'\nteachers:\n  - kind: scripted\n"
        f"    options: {{mistakes: [nine_steps], share: 0.5, seconds: 0.004, log: {log}}}\n"
    )
    command = [
        sys.executable, "-m", "tenstep", "curate", str(folder / "recipe.yaml"),
        "--studies", str(folder / "studies"), "--out", str(folder / "run"), "--json",
    ]  # fmt: skip
    done, seen = 0, set[str]()
    lost = 0
    while done < kills:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _wait_for_work(process, log)
        time.sleep(rng.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done += 1
        received = _received(folder / "run")
        lost += len(seen - received)
        seen |= received
    subprocess.run([*command, "--resend-unknown", "yes"], check=True, stdout=subprocess.DEVNULL)
    with RunFolder.read(folder / "run") as run:
        events = list(run.journal.events())
        judged = {candidate.study_id for candidate, _ in run.judged()}
    lost += len(seen - {event.key for event in events if event.state is State.RECEIVED})
    sent = Counter(event.key for event in events if event.state is State.IN_FLIGHT)
    unknown = Counter(event.key for event in events if event.state is State.UNKNOWN)
    asked = Counter(log.read_text().splitlines())
    attempts = sum(sent.values())
    return Losses(
        kills=done,
        studies=studies,
        lost_answers=lost,
        asked_twice=max(0, sum(asked.values()) - attempts) + sum(sent[key] > 1 + unknown[key] for key in sent),
        unfinished=studies - len(judged),
        resent=sum(count - 1 for count in sent.values()),
    )


def _wait_for_work(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until it asks its first question, so that the kill falls into work and not into imports."""
    before = log.stat().st_size if log.exists() else 0
    since = time.monotonic()
    while process.poll() is None and time.monotonic() - since < 20:
        if log.exists() and log.stat().st_size > before:
            return
        time.sleep(0.005)


def _received(run: Path) -> set[str]:
    if not (run / "journal.db").exists():
        return set()
    with Journal(run / "journal.db", writable=False) as journal:
        return {event.key for event in journal.events() if event.state is State.RECEIVED and event.raw}


def _events() -> list[Event]:
    return [
        Event(key=f"{n:064x}", state=State.RECEIVED, study_id=str(n), at=0.0, body=BODY, raw=b"y" * 2_000)
        for n in range(RECORDS)
    ]


def ours(folder: Path) -> float:
    """Records a second through the journal, each waited for, `UNDER_WAY` at a time."""
    events = _events()
    with Journal(folder / "journal.db", writable=True) as journal:
        since = time.perf_counter()
        waiting: list[Future[None]] = []
        for event in events:
            waiting.append(journal.append(event))
            if len(waiting) == UNDER_WAY:
                waiting.pop(0).result()
        for future in waiting:
            future.result()
        return RECORDS / (time.perf_counter() - since)


def lines_with_fsync(folder: Path, records: int = RECORDS // 10) -> float:
    """Records a second into a JSON-lines file, one fsync each."""
    with (folder / "lines.jsonl").open("a") as stream:
        since = time.perf_counter()
        for n in range(records):
            stream.write(json.dumps({"key": f"{n:064x}", "body": BODY, "raw": "y" * 2_000}) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        return records / (time.perf_counter() - since)


def commit_each(folder: Path, records: int = RECORDS // 10) -> float:
    """Records a second into SQLite in the same mode, one commit each."""
    connection = sqlite3.connect(folder / "each.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE events (key TEXT, body TEXT, raw BLOB)")
    since = time.perf_counter()
    for n in range(records):
        connection.execute("INSERT INTO events VALUES (?, ?, ?)", (f"{n:064x}", json.dumps(BODY), b"y" * 2_000))
    return records / (time.perf_counter() - since)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--studies", type=int, default=4_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        journal, lines, each = ours(folder), lines_with_fsync(folder), commit_each(folder)
        print(f"journal, {UNDER_WAY} under way   {journal:9.0f} records/s  (4 KB each)")
        print(f"JSON lines, an fsync each {lines:9.0f} records/s  journal/this {journal / lines:.1f}")
        print(f"SQLite, a commit each     {each:9.0f} records/s  journal/this {journal / each:.1f}")
        losses = kill_and_continue(folder / "kill", kills=args.kills, studies=args.studies)
        print(
            f"{losses.kills} kills: {losses.lost_answers} received answers lost, {losses.asked_twice} asked twice, "
            f"{losses.unfinished} of {losses.studies} studies without a verdict, {losses.resent} sent again as told"
        )


if __name__ == "__main__":
    main()
