"""What starting tenstep costs, beside `import openai` alone: `python -m benchmarks.import_time [RUNS]`.

Each command runs in fresh interpreters, in turns, so that a busy moment hits all of them; the first round only fills
the bytecode cache and is not counted. Prints medians, wall time over an empty interpreter, and ratios to openai.
"""

import os
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import openai": ["-c", "import openai"],
    "import tenstep": ["-c", "import tenstep"],
    "import tenstep.__main__": ["-c", "import tenstep.__main__"],
    "tenstep --help": ["-m", "tenstep", "--help"],
}


def seconds(arguments: list[str]) -> float:
    """Wall seconds of one fresh interpreter.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure in turns and print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    rounds = [{name: seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(runs + 1)][1:]
    median = {name: statistics.median(round_[name] for round_ in rounds) for name in COMMANDS}
    empty = median["python -c pass"]
    openai = median["import openai"] - empty
    print(f"{'':24}{'median s':>10}{'over empty':>12}{'of openai':>11}   ({runs} runs each)")
    for name, value in median.items():
        print(f"{name:24}{value:10.3f}{value - empty:12.3f}{(value - empty) / openai:10.2f}x")
    check = "import sys, tenstep.__main__; print(sorted({'torch', 'pandas', 'pydicom', 'openai'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.strip()
    print(f"of torch, pandas, pydicom and openai, the command line loads: {loaded}")


if __name__ == "__main__":
    main()
