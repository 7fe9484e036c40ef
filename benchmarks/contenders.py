"""What `python -m benchmarks.teacher` compares: ways to ask a server for records, each in a process of its own.

python -m benchmarks.contenders NAME URL STUDIES CONCURRENCY OUT     prints what it took, as JSON
"""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tenstep.data.memory import peak_megabytes

from .plain_clients import LOOPS

LATENCY = 0.05
ROOT = Path(__file__).resolve().parent.parent
STRUCTURAL = {"completion", "structure", "numbering", "wrapping", "report", "headers"}
REPORT = (
    "Technique: Frontal radiograph.\nView: PA\nFindings: The heart is normal in size. The lungs are clear. "
    "There is no effusion. Film {number}.\nImpression: No acute finding."
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


def recipe_of(url: str, concurrency: int, *, every_rule: bool = False, **more: Any) -> dict[str, Any]:
    """The recipe of our contender."""
    from tenstep.validators.gate import CODES

    if not every_rule:
        more["severities"] = {code: "off" for code, rule in CODES.items() if rule not in STRUCTURAL}
    options = {"model": "test-model", "base_url": f"{url}/v1", "api": "chat", "key_env": "TENSTEP_BENCH_KEY"}
    return {
        "kind": "curate", "name": "bench", "concurrency": concurrency,
        "teachers": [{"kind": "openai", "options": options}], **more,
    }  # fmt: skip


def ours(url: str, studies: Path, concurrency: int, out: Path, **more: Any) -> int:
    """Ours: the command as users run it."""
    import yaml
    from tenstep.__main__ import main as command

    recipe, printed = out.with_name("recipe.yaml"), out.with_name("printed.json")
    recipe.write_text(yaml.safe_dump(recipe_of(url, concurrency, **more)))
    words = ["curate", str(recipe), "--studies", str(studies), "--out", str(out), "--json", str(printed)]
    with contextlib.redirect_stdout(io.StringIO()):
        assert command(words) == 0
    found = json.loads(printed.read_text())
    return int(found["accepted"] + found["doubted"] + found["rejected"])


def contend(name: str, url: str, studies: Path, concurrency: int, out: Path) -> None:
    """Run one contender in this process and print what it took, as JSON."""
    import aiohttp  # noqa: F401  loaded here, so that no contender's start is counted
    import openai  # noqa: F401  as above
    import pyarrow.parquet  # noqa: F401  as above

    wall, cpu, before = time.perf_counter(), time.process_time(), os.times()
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
                "workers": sum(os.times()[2:4]) - sum(before[2:4]),
                "mb": peak_megabytes(),
            }
        )
    )


if __name__ == "__main__":
    _name, _url, _studies, _concurrency, _out = sys.argv[1:]
    contend(_name, _url, Path(_studies), int(_concurrency), Path(_out))
