"""The folder of a training run: who may write to it, and whether a run goes on in it or starts.

recipe.yaml      resolved, re-runnable
run_card.json    what happened (card.py)
base/            the demo's base, when the recipe says `base: tiny`
rows.jsonl       which rows train and which validate: study, key of the trace, weight
checkpoints/     the last, and the last but one or the best
tensorboard/     losses; look at them with: tensorboard --logdir DIR
adapter/         the trained student (adapter.py)
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...data.files import hold
from ...schemas.errors import InputError, RunError
from .run_card import FILE

ADAPTER, BASE, BOARD, CHECKPOINTS, ROWS = "adapter", "base", "tensorboard", "checkpoints", "rows.jsonl"


@contextlib.contextmanager
def claimed(out: Path, *, restricted: bool, resume: bool) -> Iterator[None]:
    """Hold the folder while a run writes to it.

    Args:
        out: the folder; made if absent.
        restricted: whether it will hold restricted data, which only its owner may read.
        resume: whether a run that it holds is continued.

    Raises:
        RunError: it holds a run already and `resume` was not said, it holds something else, or others can read it.
        RunLockedError: another process trains in it.
    """
    if out.exists() and not out.is_dir():
        raise RunError("is a file; choose another --out", file=out)
    held = {entry.name for entry in out.iterdir()} - {"run.lock"} if out.exists() else set()
    if held and "recipe.yaml" not in held and FILE not in held:
        raise RunError("is not empty and holds no training run; choose another --out", file=out)
    if FILE in held and not resume:
        raise RunError("holds a training run; go on with --resume, or choose another --out", file=out)
    if restricted and out.exists() and out.stat().st_mode & 0o077:
        raise RunError("others can read this folder, and the data is restricted; run: chmod -R go= on it", file=out)
    out.mkdir(parents=True, exist_ok=True, mode=0o700 if restricted else 0o777)
    with hold(out / "run.lock", "training here"):
        yield


def read_rows(out: Path) -> list[dict[str, Any]]:
    """Which rows a training trains on and validates on, in their order.

    Raises:
        InputError: they are missing or damaged.
    """
    try:
        return [json.loads(line) for line in (out / ROWS).read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        raise InputError(f"holds no {ROWS} that can be read; give the folder of a training", file=out) from None
