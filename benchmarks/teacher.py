"""What asking a teacher costs beside other ways, and what faults and kills do: `python -m benchmarks.teacher`.

The same work for all: records (a prompt with a reference, an object of ten steps back) against a loopback server
that answers after 50 ms, each contender in a process of its own, one after another, in turns:

    tenstep          `tenstep curate`: journal (fsync), structural rules, retries, budget, the tables at its end
    all rules        the same with every rule, whose work on each record is that of `python -m benchmarks.rules`
    aiohttp          a bare loop: posts JSON, reads JSON, keeps nothing
    openai           AsyncOpenAI and a semaphore, as it is commonly written, keeping nothing
    openai+aiohttp   the same over the SDK's other transport
    curator          bespokelabs-curator with its own cache, if --curator names the Python of an environment that has it

    hard reports     the same on reports of many findings (`--only hard`)

"over ideal" is run time / (records x latency / concurrency). CPU and memory are of the contender's own process;
"its workers" is the CPU of those that it started, for each record too.
Then one request in ten is answered with a 429, a mix of faults is served, and runs are killed at random points and
continued.

    python -m benchmarks.teacher                     everything, a few minutes
    python -m benchmarks.teacher --only speed        or: hard, flat, image, throttled, faults, kill
"""

import argparse
import asyncio
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from .beside import curator
from .contenders import LATENCY, REPORT, ROOT, make_studies, ours, recipe_of, server, stats
from .plain_clients import LOOPS, requests_of

CONTENDERS = ("tenstep", "all rules", "aiohttp", "openai", "openai+aiohttp")
KILLED_AT = 64  # requests under way when a run is killed
FAULTS = {"429": 0.10, "500": 0.05, "reset_before": 0.02, "malformed": 0.02}
HARD = (
    "Technique: Portable semi-upright radiograph.\nView: AP\nFindings: There is a small left pleural effusion with "
    "adjacent atelectasis, and mild pulmonary edema. The heart is moderately enlarged. A right internal jugular line "
    "ends in the mid superior vena cava, and an endotracheal tube 4 cm above the carina. No pneumothorax. Old healed "
    "left sixth and seventh rib fractures are seen. A 9 mm nodule lies in the right upper lobe, film {number}.\n"
    "Impression: Mild edema and a small left effusion. Right upper lobe nodule; lines and tubes in place."
)


def measure(name: str, studies: Path, records: int, concurrency: int, python: str | None) -> dict[str, float]:
    """One contender, one time, in its own process with its own server; `python`: where Curator is installed."""
    with server() as url, tempfile.TemporaryDirectory() as place:
        if name == "curator":
            assert python is not None
            found = curator(python, Path(place), url, requests_of(studies), concurrency)
        else:
            command = [sys.executable, "-m", "benchmarks.contenders", name, url, str(studies), str(concurrency)]
            done = subprocess.run(
                [*command, f"{place}/run"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
                env={**os.environ, "TENSTEP_BENCH_KEY": "sk-bench"},
            )  # fmt: skip
            found = json.loads(done.stdout.splitlines()[-1])
    assert found["done"] == records, found
    return {
        "ideal": found["seconds"] / (records * LATENCY / concurrency),
        "rate": records / found["seconds"],
        "cpu_ms": found["cpu"] / records * 1_000,
        "workers_ms": found.get("workers", math.nan) / records * 1_000,
        "mb": found["mb"],
    }


def compare(
    title: str,
    records: int,
    concurrency: int,
    image: int = 0,
    rounds: int = 3,
    names: tuple[str, ...] = CONTENDERS,
    report: str = REPORT,
    python: str | None = None,
) -> dict[str, dict[str, float]]:
    """Contenders in turns, Curator too if `python` has it; medians, and each run time as a ratio of the bare loop's and
    of AsyncOpenAI's."""
    names = (*names, "curator") if python and image == 0 else names
    with tempfile.TemporaryDirectory() as place:
        studies = Path(place) / "studies"
        make_studies(studies, records, image, report)
        runs = [{name: measure(name, studies, records, concurrency, python) for name in names} for _ in range(rounds)]
    print(f"\n{title}: {records} records, {concurrency} at once, medians of {rounds}")
    print(f"{'':16}{'over ideal':>12}{'records/s':>12}{'CPU ms each':>13}{'its workers':>13}{'peak MB':>10}")
    medians = {name: {key: statistics.median(r[name][key] for r in runs) for key in runs[0][name]} for name in names}
    for name, m in medians.items():
        print(f"{name:16}{m['ideal']:12.2f}{m['rate']:12.0f}{m['cpu_ms']:13.2f}{m['workers_ms']:13.2f}{m['mb']:10.0f}")
    for base in {"tenstep", "aiohttp", "openai+aiohttp"} & medians.keys():
        ratios = (f"{name} {m['ideal'] / medians[base]['ideal']:.2f}" for name, m in medians.items() if name != base)
        print(f"run time over {base}: {', '.join(ratios)}")
    return medians


def flat(rounds: int) -> None:
    """The same at ten times the size."""
    small = compare("small", 2_000, 64, rounds=rounds, names=("tenstep",))["tenstep"]
    large = compare("large", 20_000, 64, rounds=1, names=("tenstep",))["tenstep"]
    for key, what in (("cpu_ms", "CPU each"), ("ideal", "run time over ideal"), ("mb", "peak memory")):
        print(f"20,000 over 2,000 records, {what}: {large[key] / small[key] - 1:+.0%}")


def faults(rates: dict[str, float] = FAULTS, records: int = 1_000) -> None:
    """A mix of faults: nothing missing, nothing malformed accepted, nothing asked without need."""
    from tenstep.data.run import RunFolder
    from tenstep.schemas.run import State

    with tempfile.TemporaryDirectory() as place, server(**{f"_{name}": share for name, share in rates.items()}) as url:
        studies, out = Path(place) / "studies", Path(place) / "run"
        make_studies(studies, records)
        since = time.perf_counter()
        accepted = ours(url, studies, 64, out, resend_unknown="yes")
        seconds = time.perf_counter() - since
        counted = stats(url)
        with RunFolder.read(out) as run:
            states = Counter(event.state for event in run.journal.events(raw=False))
            malformed = [c for c, v in run.judged() if v.accepted and (c.trace is None or len(c.trace.steps) != 10)]
            rejected = sum(not v.accepted for _, v in run.judged())
    others, missing = _plain_faults(rates, records)
    again = states[State.FAILED] + states[State.UNKNOWN] + rejected
    mix = ", ".join(f"{share:.0%} {name}" for name, share in rates.items())
    print(f"\nfaults ({mix}): {records} records in {seconds:.1f} s")
    print(f"missing {records - accepted}, malformed accepted {len(malformed)}")
    print(
        f"run time over AsyncOpenAI's with its own retries: {seconds / others:.2f} ({others:.1f} s, of which {missing} "
        "answers were missing or malformed in the end)"
    )
    print(
        f"{counted['requests'] - 1} requests; {records} + {states[State.FAILED]} turned away + {states[State.UNKNOWN]} "
        f"lost on the way + {rejected} rejected = {records + again}"
    )


def _plain_faults(rates: dict[str, float], records: int) -> tuple[float, int]:
    """Seconds that AsyncOpenAI over aiohttp takes on the same mix, and answers that it does not have then."""
    with tempfile.TemporaryDirectory() as place, server(**{f"_{name}": share for name, share in rates.items()}) as url:
        studies = Path(place) / "studies"
        make_studies(studies, records)
        since = time.perf_counter()
        done = asyncio.run(LOOPS["openai+aiohttp"](url, studies, 64))
        return time.perf_counter() - since, records - done


def kill(kills: int, studies: int = 3_000, seed: int = 1) -> None:
    """Kill runs again and again, once with the structural rules alone and once with all; then let them end."""
    for name, every_rule in (("structural rules", False), ("all rules", True)):
        print(f"\n{name}: {_kill(kills, studies, seed, every_rule=every_rule)}", flush=True)


def _kill(kills: int, studies: int, seed: int, *, every_rule: bool) -> str:
    import yaml
    from tenstep.data.run import RunFolder
    from tenstep.schemas.run import State

    dice, received, lost = random.Random(seed), set[str](), 0
    undelivered: list[int] = []  # by kill, answers that had been delivered and are in no journal
    with tempfile.TemporaryDirectory() as place, server() as url:
        folder = Path(place)
        make_studies(folder / "studies", studies)
        recipe = recipe_of(url, KILLED_AT, every_rule=every_rule, resend_unknown="no")
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        command = [sys.executable, "-m", "tenstep", "curate", str(folder / "recipe.yaml"), "--json"]
        command += ["--studies", str(folder / "studies"), "--out", str(folder / "run")]
        environment = {**os.environ, "TENSTEP_BENCH_KEY": "sk-bench"}
        for _ in range(kills):
            before = stats(url)["requests"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
            while process.poll() is None and stats(url)["requests"] <= before + 1:
                time.sleep(0.005)
                before += 1  # the question itself is counted
            time.sleep(dice.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            with RunFolder.read(folder / "run") as run:
                here = {e.key for e in run.journal.events() if e.state is State.RECEIVED and e.raw}
            lost += len(received - here)
            received |= here
            undelivered.append(stats(url)["delivered"] - len(received) - sum(undelivered))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        counted = stats(url)
        with RunFolder.read(folder / "run") as run:
            events = list(run.journal.events(raw=False))
    sent = Counter(event.key for event in events if event.state is State.IN_FLIGHT)
    ends = Counter(run_state for run_state in {e.key: e.state for e in events}.values())
    return (
        f"{kills} kills at random points, {KILLED_AT} at once: of answers that were delivered, "
        f"{statistics.mean(undelivered):.1f} a kill were not on disk yet, {max(undelivered)} at most; {lost} received "
        f"answers lost, {counted['paid_twice']} prompts paid twice, {sum(n > 1 for n in sent.values())} sent again; of "
        f"{studies} studies {ends[State.JUDGED]} judged, {ends[State.UNKNOWN]} unknown and never sent again"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("speed", "hard", "flat", "image", "throttled", "faults", "kill"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="of the text records")
    parser.add_argument(
        "--curator", metavar="PYTHON", help="an interpreter with bespokelabs-curator, to run it as well"
    )
    args = parser.parse_args()
    os.environ.setdefault("TENSTEP_BENCH_KEY", "sk-bench")
    parts: dict[str, Callable[[], object]] = {
        "speed": lambda: [
            compare("text", 2_000, at, rounds=args.rounds, names=tuple(args.contenders), python=args.curator)
            for at in (64, 256)
        ],
        "hard": lambda: compare(
            "hard reports", 2_000, 256, rounds=args.rounds, names=("tenstep", "all rules", "aiohttp"), report=HARD
        ),
        "flat": lambda: flat(args.rounds),
        "image": lambda: compare("200 KB image", 1_000, 64, 200_000, args.rounds),
        "throttled": lambda: faults({"429": 0.10}),
        "faults": faults,
        "kill": lambda: kill(args.kills),
    }
    for name, part in parts.items():
        if args.only in (None, name):
            part()


if __name__ == "__main__":
    main()
