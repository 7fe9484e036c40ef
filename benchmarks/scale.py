"""What a row costs as runs grow: `python -m benchmarks.scale [--rows 2000 20000 200000] [--millions]`.

The same synthetic studies at each size, each command in a process of its own: `ingest` of a JSON-lines file, `curate`
with a scripted teacher and the structural rules (so that the pipeline is measured, and not the rules, whose work on a
row does not depend on the others), `status`, and `curate` once more on the finished run. Seconds are of the processor,
since others may use the machine. The exponent is the slope of log(seconds) over log(rows), without what the command
takes for 20 rows: 1 is linear. The goal: at most 1.02, and memory that stays flat. It is printed twice: of the seconds
as they are, and at one pace of the machine: divided by what a fixed piece of work took meanwhile (fresh.py).
"""

import argparse
import json
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import yaml
from tenstep.validators.gate import CODES

from .fresh import Took, command
from .made_reports import sentences
from .made_runs import RECIPE

_STRUCTURAL = {"completion", "structure", "numbering", "wrapping", "report", "headers"}
_COMMANDS = ("ingest", "curate", "status", "resume")


def write_source(path: Path, rows: int) -> None:
    """A JSON-lines file of studies."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            text = f"Technique: Frontal.\nView: PA\nFindings: {sentences(rng, 6)}\nImpression: {sentences(rng, 1)}"
            row = {"id": str(number), "patient_id": str(number // 3), "report": text, "data_class": "public"}
            file.write(json.dumps(row) + "\n")


def measure(rows: int) -> dict[str, Any]:
    """What each command took, and bytes on disk."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_source(folder / "source.jsonl", rows)
        off = {code: "off" for code, rule in CODES.items() if rule not in _STRUCTURAL}
        (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE | {"severities": off}))
        curate = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies")]
        curate += ["--out", str(folder / "run"), "--workers", "0", "--json"]
        ingest = ["ingest", "jsonl", str(folder / "source.jsonl"), "--out", str(folder / "studies"), "--json"]
        found: dict[str, Any] = {"ingest": command([*ingest, "--text-only"]), "curate": command(curate)}
        found["status"] = command(["status", str(folder / "run"), "--json"])
        found["resume"] = command(curate)
        for name, where in (("store", folder / "studies"), ("run", folder / "run")):
            found[name] = sum(file.stat().st_size for file in where.rglob("*") if file.is_file())
        found["journal"] = (folder / "run" / "journal.db").stat().st_size
        return found


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """The slope of log(seconds) over log(rows), by least squares."""
    xs, ys = [math.log(size) for size in sizes], [math.log(max(one, 1e-3)) for one in seconds]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--millions", action="store_true", help="2,000,000 rows as well: hours, and 20 GB of disk")
    args = parser.parse_args()
    sizes = [*args.rows, *([2_000_000] if args.millions else [])]
    start = measure(20)
    print(f"{'rows':>9}" + "".join(f"{name:>24}" for name in _COMMANDS) + f"{'store, journal, run':>24}")
    print(f"{'':9}" + f"{'s of CPU, ms a row, MB':>24}" * len(_COMMANDS) + f"{'bytes a row':>24}", flush=True)
    found = []
    for rows in sizes:
        one = measure(rows)
        found.append(one)
        cells = [_cell(one[name], start[name], rows) for name in _COMMANDS]
        disk = ", ".join(f"{one[name] / rows:.0f}" for name in ("store", "journal", "run"))
        print(f"{rows:9,}" + "".join(f"{cell:>24}" for cell in cells) + f"{disk:>24}", flush=True)
    if len(sizes) < 2:
        return
    for name in _COMMANDS:
        spent = [one[name].cpu - start[name].cpu for one in found]
        paces, peaks = [one[name].pace for one in found], [one[name].mb for one in found]
        even = exponent(sizes, [seconds / pace for seconds, pace in zip(spent, paces, strict=True)])
        print(
            f"{name:8} exponent {exponent(sizes, spent):.3f}, at one pace {even:.3f} (paces "
            f"{', '.join(f'{pace:.1f}' for pace in paces)} ms), memory {peaks[-1] / peaks[0] - 1:+.0%}"
        )


def _cell(took: Took, start: Took, rows: int) -> str:
    return f"{took.cpu:.1f}, {(took.cpu - start.cpu) / rows * 1000:.3f}, {took.mb:.0f}"


if __name__ == "__main__":
    main()
