"""The processes of one run: one, or as many as torchrun started, on one or several machines. The first writes.

Machines share the run's folder: checkpoints hold a part of every process.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...schemas.errors import TrainingError, why
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

    def check_cards(self) -> None:
        """One process uses one card; TRL would stop with a traceback on several.

        Raises:
            TrainingError: several cards are visible to one process.
        """
        check_cards(visible_cards(), self.world)

    def check_shared(self, file: Path) -> None:
        """What the first process has written must be there for all of them.

        Raises:
            TrainingError: it is not; say so rather than find out at the first resume.
        """
        if not file.is_file():
            rank = os.environ.get("RANK", "0")
            raise TrainingError(
                f"process {rank} of {self.world} does not see what the first process wrote here; all machines must "
                "share this folder: choose an --out on shared storage",
                file=file.parent,
            )

    def join(self) -> None:
        """Join the process group: nccl on CUDA, gloo on a CPU.

        Raises:
            TrainingError: the processes do not reach each other.
        """
        if self.world > 1:
            from accelerate import PartialState

            try:
                self._state = PartialState(cpu=device() == "cpu")
            except RuntimeError as error:
                if not of_the_network(error):
                    raise
                raise TrainingError(
                    f"the {self.world} processes do not reach each other ({why(error)}); on several machines, name the "
                    "network's interface on each one (GLOO_SOCKET_IFNAME on CPUs, NCCL_SOCKET_IFNAME on GPUs)"
                ) from None

    def wait(self) -> None:
        """Wait until every process is here."""
        if self._state is not None:
            self._state.wait_for_everyone()


def of_the_network(error: RuntimeError) -> bool:
    """Whether processes do not reach each other; gloo, unlike nccl, has no error of its own."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo" in str(error).lower()


def visible_cards() -> int:
    """CUDA devices that this process can use; 0 where torch is not installed, which is said later."""
    try:
        import torch
    except ModuleNotFoundError:
        return 0
    return torch.cuda.device_count()


def check_cards(visible: int, world: int) -> None:
    """Raises:
    TrainingError: several cards are visible, and one process was started.
    """
    if visible > 1 and world == 1:
        raise TrainingError(
            f"{visible} GPUs are visible and one process was started; use one with CUDA_VISIBLE_DEVICES=0, or all "
            f"with: torchrun --nproc_per_node {visible} -m tenstep distill RECIPE"
        )


_SHARDERS = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}


def check_launch(environment: Mapping[str, str] = os.environ) -> None:
    """Raises:
    TrainingError: accelerate is set to shard the model, which the trainer here does not do.
    """
    for variable, name in _SHARDERS.items():
        if environment.get(variable, "").lower() in ("1", "true", "yes"):
            raise TrainingError(
                f"{name} is switched on ({variable}), and is not wired with QLoRA here: every process holds the whole "
                "4-bit model (7 GB for 11B). Launch plain data parallelism, with torchrun or with distributed_type: "
                "MULTI_GPU as in examples/accelerate"
            )
