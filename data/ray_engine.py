"""The work of data/workers.py on a Ray cluster: one task a shard. The only file that knows Ray.

    with RayEngine("auto") as engine:
        in_order(work, rows, engine)

A task whose node or process dies is done again elsewhere; one that dies again and again is KILLED, like a shard that no
process of one machine survives. The results, and their order, are those of one machine. Every node needs tenstep
installed, and sees the same files under the same paths; tasks run in this process's folder. Usage reports, the
dashboard and metrics of a cluster that is started here are off.
"""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar

from ..schemas.errors import InputError, MissingExtraError
from .workers import KILLED, Failed, done

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 3  # tasks for each processor that wait or are done and not taken
_PATIENCE = 10.0  # seconds
_TRIES = 3  # beyond the first
_COUNTED = 64  # shards after which the processors are counted again: nodes come and go


class RayEngine:
    """See the module, and Engine in workers.py.

    Args:
        address: `auto`, or host and port, of a cluster; none starts one on this machine that ends with it.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: no cluster answers there.
    """

    def __init__(self, address: str | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its warning is about GPUs
        try:
            import ray
        except ImportError:
            raise MissingExtraError("ray", "ray") from None
        _check(address)
        own: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        try:
            ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = f"no Ray cluster can be used at '{address}'" if address else "Ray does not start here"
            first = " ".join(str(error).split())[:160]
            raise InputError(f"{where} ({first}); start one with: ray start --head", field="--address") from None

    def results(self, work: Callable[[T], R], shards: Iterable[T]) -> Iterator[R | Failed]:
        """See Engine."""
        import ray

        task: Any = ray.remote(_task).options(num_cpus=1, max_retries=_TRIES)
        here = str(Path.cwd())
        running: deque[Any] = deque()  # references to results
        room = 0
        try:
            for number, shard in zip(count(), shards, strict=False):
                if number % _COUNTED == 0:
                    room = max(2, int(_AHEAD * _cpus(ray)))
                running.append(task.remote(here, work, shard))
                if len(running) >= room:
                    yield _result(running.popleft())
            while running:
                yield _result(running.popleft())
        finally:
            for ref in running:
                ray.cancel(ref)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()


def _check(address: str | None) -> None:
    """Ray itself tries for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_PATIENCE).close()
        except OSError as error:
            message = (
                f"no Ray cluster answers at '{address}' ({error.strerror or error}); start one with: ray start --head"
            )
            raise InputError(message, field="--address") from None


def _cpus(ray: Any) -> float:
    return float(ray.cluster_resources().get("CPU", 1))


def _task(folder: str, work: Callable[[T], R], shard: T) -> R | Failed:
    os.chdir(folder)
    return done(work, shard)


def _result(ref: Any) -> Any:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(ref)
    except RayTaskError as error:
        raise error.cause from None  # what `done` lets through
    except RayError:
        return KILLED
