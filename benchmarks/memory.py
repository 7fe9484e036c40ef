"""Whether memory stays flat: `python -m benchmarks.memory [--rows 2000 20000]`.

The peak of `tenstep curate` with every rule, in a process of its own, over runs of so many studies: a scripted teacher
(so that no server shares the machine), one process that judges, no repair. Then that of the same command over the run
that is there, which reads every verdict again. The goal: the largest is within 10 % of the smallest.
"""

import argparse
import json
import tempfile
from pathlib import Path

import yaml

from .fresh import command
from .made_runs import RECIPE, make_store


def peaks(rows: int) -> dict[str, float]:
    """MB at most, by what was done."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_store(folder / "studies", rows)
        (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
        words = ["curate", str(folder / "recipe.yaml"), "--studies", str(folder / "studies")]
        words += ["--out", str(folder / "run"), "--workers", "0", "--json"]
        first = command(words)
        manifest = folder / "run" / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"settled": None}))
        found = {"curate": first.mb, "go through": command(words).mb}
        print(f"{rows:7,}  " + "  ".join(f"{name} {mb:.0f} MB" for name, mb in found.items()), end="  ")
        print(f"({first.cpu / rows * 1000:.2f} ms of CPU a study)", flush=True)
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 20_000])
    found = [peaks(rows) for rows in parser.parse_args().rows]
    for name in found[0]:
        values = [one[name] for one in found]
        print(f"{name}: largest over smallest {max(values) / min(values) - 1:+.0%}")


if __name__ == "__main__":
    main()
