"""The folder of a training run: who may write to it, and whether a run goes on in it or starts.

recipe.yaml      resolved, re-runnable
run_card.json    what happened (card.py)
base/            the demo's base, when the recipe says `base: tiny`
checkpoints/     the last, and the last but one or the best
tensorboard/     losses; look at them with: tensorboard --logdir DIR
adapter/         the trained student (adapter.py)
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ...data.files import hold
from ...schemas.errors import RunError
from .run_card import FILE

ADAPTER, BASE, BOARD, CHECKPOINTS = "adapter", "base", "tensorboard", "checkpoints"


@contextlib.contextmanager
def claimed(out: Path, *, resume: bool) -> Iterator[None]:
    """Hold the folder while a run writes to it.

    Raises:
        RunError: it holds a run already and `resume` was not said, or it holds something else.
        RunLockedError: another process trains in it.
    """
    if out.exists() and not out.is_dir():
        raise RunError("is a file; choose another --out", file=out)
    held = {entry.name for entry in out.iterdir()} - {"run.lock"} if out.exists() else set()
    if held and "recipe.yaml" not in held and FILE not in held:
        raise RunError("is not empty and holds no training run; choose another --out", file=out)
    if FILE in held and not resume:
        raise RunError("holds a training run; go on with --resume, or choose another --out", file=out)
    out.mkdir(parents=True, exist_ok=True)
    with hold(out / "run.lock", "training here"):
        yield
