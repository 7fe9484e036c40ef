"""Runs the commands of a page in order, in a folder of their own, and compares or rewrites the output on the page.

    python scripts/tutorials.py docs/tutorials/mimic.md      rewrites the page's outputs from a run; all pages if none

The pages are those of docs/tutorials, and all others that say what is run first. A page's blocks:

    ```sh                      is run: one shell for the whole page, so `cd` and variables last
    ```sh title="..."          is not run here (a card, a download, a browser); the title says why
    ```text                    right behind a block that is run: its output, standard output and error together

    <!-- run first             commands that are run before all others and are not shown, up to a line -->
A comment before a block of output says how it is compared and kept:

    <!-- first 20 -->          only so many lines are on the page; or last 20
    <!-- figures vary -->      numbers differ from machine to machine (training); the words are compared
    <!-- until Ctrl-C -->      before a command: it serves until it is interrupted, which the run does

Seconds, memory, ports, tokens, hashes, and widths of tables are never compared.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(
    r"(?P<notes>(?:^<!-- [^\n]* -->\n)*)^```(?P<language>\w+)(?P<title> [^\n]*)?\n(?P<text>.*?)^```$", re.S | re.M
)
_FIRST = re.compile(r"^<!-- run first\n(.*?)^-->", re.S | re.M)
_MARK = "=-=-= block"
_VOLATILE = (
    (r"token=\S+", "token=T"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:P"),
    (r"\b[0-9a-f]{12,64}\b", "HASH"),
    (r"\b\d[\d,.]* (s|MB|seconds)\b", r"N \1"),
    (r"\b(seconds|memory)(\W+)[\d.,]+", r"\1\2N"),
)
_SERVED = 15  # seconds that a server is left running
_WORDS = 0.9  # of a page's words must be in an output whose figures vary


class Step(NamedTuple):
    """A block of commands, and where its output stands on the page."""

    command: str
    output: str | None
    at: tuple[int, int] | None  # of the output, in the page's text
    kept: tuple[str, int] | None  # the first or the last so many lines
    vary: bool
    served: bool


def pages() -> list[Path]:
    """The pages whose commands are run."""
    others = [page for page in (ROOT / "docs").rglob("*.md") if _FIRST.search(page.read_text("utf-8"))]
    return sorted([*(ROOT / "docs" / "tutorials").glob("*.md"), *others])


def steps(page: str) -> list[Step]:
    """The blocks of a page that are run, in order, with the output behind each."""
    found = [Step(hidden[1], None, None, None, False, False) for hidden in _FIRST.finditer(page)]
    blocks = list(_BLOCK.finditer(page))
    for number, block in enumerate(blocks):
        if block["language"] != "sh" or block["title"]:
            continue
        after = blocks[number + 1] if number + 1 < len(blocks) else None
        ours = after and after["language"] == "text" and not page[block.end() : after.start()].strip()
        notes = after["notes"] if ours and after else ""
        kept = re.search(r"<!-- .*?(first|last) (\d+)", notes)
        found.append(
            Step(
                block["text"],
                after["text"] if ours and after else None,
                after.span("text") if ours and after else None,
                (kept[1], int(kept[2])) if kept else None,
                "figures vary" in notes,
                "until Ctrl-C" in block["notes"],
            )
        )
    return found


def run(found: list[Step], folder: Path) -> list[str]:
    """Run the commands of a page in a folder, as one shell.

    Returns:
        The output of each block.

    Raises:
        RuntimeError: a command failed; its output is in the message.
    """
    script = ["set -euo pipefail"]
    for number, step in enumerate(found):
        script += [
            f"echo {shlex.quote(f'{_MARK} {number}')}",
            _interrupted(step.command) if step.served else step.command,
        ]
    log = folder / "tutorial.log"
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TENSTEP": str(ROOT),
        "COLUMNS": "100",
        "OMP_NUM_THREADS": "1",
        "HF_HOME": str(folder / "hf"),  # the datasets library keeps copies of what it reads
    }
    with log.open("w") as stream:
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            check=False,
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    text = log.read_text("utf-8")
    if done.returncode:
        raise RuntimeError(f"the commands end with {done.returncode}:\n{text[-4000:]}")
    parts = re.split(rf"{_MARK} \d+\n", text)[1:]
    return ["\n".join(line.rstrip() for line in part.splitlines()) + "\n" for part in parts]


def _interrupted(command: str) -> str:
    return f"timeout --signal=INT {_SERVED} {command.strip()} || test $? = 124\n"


def shown(step: Step, output: str) -> str:
    """What of an output is kept on the page."""
    lines = output.splitlines()
    match step.kept:
        case ("first", count) if len(lines) > count:
            lines = [*lines[:count], "[...]"]
        case ("last", count) if len(lines) > count:
            lines = ["[...]", *lines[-count:]]
    return "".join(f"{line}\n" for line in lines)


def same(step: Step, output: str) -> bool:
    """Whether an output is what the page says, but for what differs from call to call."""
    page, found = step.output or "", shown(step, output)
    if step.vary:
        wanted, have = (set(re.findall(r"\b[A-Za-z_]{2,}\b", text)) for text in (page, found))  # no part of a hash
        return len(wanted & have) >= _WORDS * len(wanted) and bool(wanted)
    return compared(page) == compared(found)


def compared(text: str) -> str:
    """An output without what differs from call to call: times, sizes, hashes, widths of tables."""
    text = re.sub(r"[─━┏┳┓┡╇┩│┃└┴┘├┼┤┌┬┐]+", " ", text)
    for pattern, instead in _VOLATILE:
        text = re.sub(pattern, instead, text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def rewritten(page: str, found: list[Step], outputs: list[str]) -> str:
    """The page with the outputs of a run."""
    for step, output in reversed(list(zip(found, outputs, strict=True))):
        if step.at is not None:
            page = page[: step.at[0]] + shown(step, output) + page[step.at[1] :]
    return page


def main() -> None:
    """Rewrite the outputs of pages."""
    for path in [Path(name) for name in sys.argv[1:]] or pages():
        page = path.read_text("utf-8")
        found = steps(page)
        with tempfile.TemporaryDirectory() as folder:
            path.write_text(rewritten(page, found, run(found, Path(folder))), "utf-8")


if __name__ == "__main__":
    main()
