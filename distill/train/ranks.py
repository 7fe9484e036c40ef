"""The processes of one run: one, or as many as torchrun started. The first writes, all train."""

import os
from typing import Any

from ..load import device


class Ranks:
    """Who this process is among the others.

    torchrun sets WORLD_SIZE, RANK and LOCAL_RANK; without it there is one process.
    """

    def __init__(self) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.local = int(os.environ.get("LOCAL_RANK", "0"))
        self._state: Any = None

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return int(os.environ.get("RANK", "0")) == 0

    def join(self) -> None:
        """Join the process group: nccl on CUDA, gloo on a CPU."""
        if self.world > 1:
            from accelerate import PartialState

            self._state = PartialState(cpu=device() == "cpu")

    def wait(self) -> None:
        """Wait until every process is here."""
        if self._state is not None:
            self._state.wait_for_everyone()
