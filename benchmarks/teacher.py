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

"over ideal" is run time / (records x latency / concurrency). CPU and memory are of the contender's process alone; "with
workers" is the CPU of its worker processes too.
Then one request in ten is answered with a 429, a mix of faults is served, and runs are killed at random points and
continued.

    python -m benchmarks.teacher                     everything, a few minutes
    python -m benchmarks.teacher --only speed        or: hard, flat, image, throttled, faults, kill
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .beside import curator
from .plain_clients import LOOPS, requests_of

LATENCY = 0.05
ROOT = Path(__file__).resolve().parent.parent
CONTENDERS = ("tenstep", "all rules", "aiohttp", "openai", "openai+aiohttp")
STRUCTURAL = {"completion", "structure", "numbering", "wrapping", "report", "headers"}
KILLED_AT = 64  # requests under way when a run is killed
FAULTS = {"429": 0.10, "500": 0.05, "reset_before": 0.02, "malformed": 0.02}
REPORT = (
    "Technique: Frontal radiograph.\nView: PA\nFindings: The heart is normal in size. The lungs are clear. "
    "There is no effusion. Film {number}.\nImpression: No acute finding."
)


HARD = (
    "Technique: Portable semi-upright radiograph.\nView: AP\nFindings: There is a small left pleural effusion with "
    "adjacent atelectasis, and mild pulmonary edema. The heart is moderately enlarged. A right internal jugular line "
    "ends in the mid superior vena cava, and an endotracheal tube 4 cm above the carina. No pneumothorax. Old healed "
    "left sixth and seventh rib fractures are seen. A 9 mm nodule lies in the right upper lobe, film {number}.\n"
    "Impression: Mild edema and a small left effusion. Right upper lobe nodule; lines and tubes in place."
)


@contextmanager
def server(**rates: float) -> Iterator[str]:
    """A teacher server in a process of its own; its address."""
    command = [sys.executable, "-m", "tests.servers.teacher", "--latency", str(LATENCY)]
    for name, share in rates.items():
        command += ["--rate", f"{name.removeprefix('_')}={share}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


def stats(url: str) -> dict[str, Any]:
    """What the server counted."""
    with urllib.request.urlopen(f"{url}/_stats") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def make_studies(folder: Path, records: int, image: int = 0, report: str = REPORT) -> None:
    """A store of studies, each with an image of about so many bytes if wanted."""
    import hashlib

    import numpy as np
    from PIL import Image
    from tenstep.data.store.studies import StudyStore
    from tenstep.schemas.study import ImageRef, Study

    refs: tuple[ImageRef, ...] = ()
    if image:
        side = int(image**0.5)  # noise does not compress: one byte a pixel
        pixels = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
        file = folder.parent / "noise.png"
        Image.fromarray(pixels).save(file)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        refs = (ImageRef(path=str(file), sha256=sha256, width=side, height=side),)
    with StudyStore.create(folder, "bench") as writer:
        for number in range(records):
            writer.add(
                Study(
                    id=f"bench/{number}", patient_id=str(number), source="bench", data_class="public",
                    report=report.format(number=number), report_form="four-header", views=("PA",), images=refs,
                )
            )  # fmt: skip


def recipe_of(url: str, concurrency: int, **more: Any) -> dict[str, Any]:
    """The recipe of our contender."""
    options = {"model": "test-model", "base_url": f"{url}/v1", "api": "chat", "key_env": "TENSTEP_BENCH_KEY"}
    return {
        "kind": "curate", "name": "bench", "concurrency": concurrency,
        "teachers": [{"kind": "openai", "options": options}], **more,
    }  # fmt: skip


def ours(url: str, studies: Path, concurrency: int, out: Path, *, every_rule: bool = False, **more: Any) -> int:
    """Ours: the command as users run it."""
    import yaml
    from tenstep.__main__ import main as command
    from tenstep.validators.gate import CODES

    if not every_rule:
        more["severities"] = {code: "off" for code, rule in CODES.items() if rule not in STRUCTURAL}

    recipe, told = out.with_name("recipe.yaml"), out.with_name("told.json")
    recipe.write_text(yaml.safe_dump(recipe_of(url, concurrency, **more)))
    words = ["curate", str(recipe), "--studies", str(studies), "--out", str(out), "--json", str(told)]
    with contextlib.redirect_stdout(io.StringIO()):
        assert command(words) == 0
    found = json.loads(told.read_text())
    return int(found["accepted"] + found["doubted"] + found["rejected"])


def contend(name: str, url: str, studies: Path, concurrency: int, out: Path) -> None:
    """Run one contender in this process and print what it took, as JSON."""
    import aiohttp  # noqa: F401  loaded here, so that nobody's start is counted
    import openai  # noqa: F401  as above
    import pyarrow.parquet  # noqa: F401  as above

    wall, cpu, whole = time.perf_counter(), time.process_time(), sum(os.times()[:4])
    if name in ("tenstep", "all rules"):
        done = ours(url, studies, concurrency, out, every_rule=name == "all rules")
    else:
        done = asyncio.run(LOOPS[name](url, studies, concurrency))
    print(
        json.dumps(
            {
                "done": done,
                "seconds": time.perf_counter() - wall,
                "cpu": time.process_time() - cpu,
                "whole": sum(os.times()[:4]) - whole,
                "mb": peak_mb(),
            }
        )
    )


def peak_mb() -> float:
    """Of this process since it was executed; what getrusage says begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(name: str, studies: Path, records: int, concurrency: int, python: str | None) -> dict[str, float]:
    """One contender, one time, in its own process with its own server; `python`: where Curator is installed."""
    with server() as url, tempfile.TemporaryDirectory() as place:
        if name == "curator":
            assert python is not None
            found = curator(python, Path(place), url, requests_of(studies), concurrency)
        else:
            command = [sys.executable, "-m", "benchmarks.teacher", "--contend", name, url, str(studies)]
            done = subprocess.run(
                [*command, str(concurrency), f"{place}/run"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
                env={**os.environ, "TENSTEP_BENCH_KEY": "sk-bench"},
            )  # fmt: skip
            found = json.loads(done.stdout.splitlines()[-1])
    assert found["done"] == records, found
    return {
        "ideal": found["seconds"] / (records * LATENCY / concurrency),
        "rate": records / found["seconds"],
        "cpu_ms": found["cpu"] / records * 1_000,
        "whole_ms": found["whole"] / records * 1_000,
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
    print(f"{'':16}{'over ideal':>12}{'records/s':>12}{'CPU ms each':>13}{'with workers':>14}{'peak MB':>10}")
    medians = {name: {key: statistics.median(r[name][key] for r in runs) for key in runs[0][name]} for name in names}
    for name, m in medians.items():
        print(f"{name:16}{m['ideal']:12.2f}{m['rate']:12.0f}{m['cpu_ms']:13.2f}{m['whole_ms']:14.2f}{m['mb']:10.0f}")
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
    from openai import AsyncOpenAI, DefaultAioHttpClient, OpenAIError

    async def run(url: str, studies: Path) -> int:
        async with DefaultAioHttpClient() as http:
            client = AsyncOpenAI(api_key="none", base_url=f"{url}/v1", http_client=http)
            slots = asyncio.Semaphore(64)

            async def ask(body: dict[str, Any]) -> bool:
                async with slots:
                    try:
                        answer = await client.chat.completions.create(**body)
                        return len(json.loads(answer.choices[0].message.content or "{}")) == 10
                    except (OpenAIError, ValueError):
                        return False

            return sum(await asyncio.gather(*(ask(body) for body in requests_of(studies))))

    with tempfile.TemporaryDirectory() as place, server(**{f"_{name}": share for name, share in rates.items()}) as url:
        studies = Path(place) / "studies"
        make_studies(studies, records)
        since = time.perf_counter()
        done = asyncio.run(run(url, studies))
        return time.perf_counter() - since, records - done


def kill(kills: int, studies: int = 3_000, seed: int = 1) -> None:
    """Kill runs again and again, once with the structural rules alone and once with all; then let them end."""
    for name, every_rule in (("structural rules", False), ("all rules", True)):
        print(f"\n{name}: {_kill(kills, studies, seed, every_rule=every_rule)}", flush=True)


def _kill(kills: int, studies: int, seed: int, *, every_rule: bool) -> str:
    import yaml
    from tenstep.data.run import RunFolder
    from tenstep.schemas.run import State
    from tenstep.validators.gate import CODES

    dice, received, lost = random.Random(seed), set[str](), 0
    undelivered: list[int] = []  # by kill, answers that had been delivered and are in no journal
    with tempfile.TemporaryDirectory() as place, server() as url:
        folder = Path(place)
        make_studies(folder / "studies", studies)
        recipe: dict[str, Any] = {**recipe_of(url, KILLED_AT), "resend_unknown": "no"}
        if not every_rule:
            recipe["severities"] = {code: "off" for code, rule in CODES.items() if rule not in STRUCTURAL}
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
    parser.add_argument("--contend", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contend:
        name, url, studies, concurrency, out = args.contend
        contend(name, url, Path(studies), int(concurrency), Path(out))
        return
    os.environ.setdefault("TENSTEP_BENCH_KEY", "sk-bench")
    parts = {
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
