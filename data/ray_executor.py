"""A Ray cluster as an executor (executor.py): one task a shard. The only file that knows Ray.

    with RayExecutor("auto") as executor:
        executor.map_rows(work, rows, key)

A task whose node or process dies is done again elsewhere; one that dies again and again is KILLED, like a shard that no
process of one machine survives. The results, and their order, are those of one machine. Every node needs tenstep
installed, and sees the same files under the same paths; tasks run in this process's folder. Usage reports, the
dashboard and metrics of a cluster that is started here are off.

Rows go to the cluster's nodes. Where one of them is another machine, restricted rows go nowhere without a signed
statement that names the cluster (attested.py); nodes are looked at again as the work goes on, since they come and go.
"""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Self, TypeVar

from ..schemas.errors import InputError, MissingExtraError, TenstepError
from ..schemas.study import DataClass
from .attested import check_place
from .executor import KILLED, Executor, Failed, done

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 3  # tasks for each processor that wait or are done and not taken
_PATIENCE = 10.0  # seconds
_TRIES = 3  # beyond the first
_COUNTED = 64  # shards after which the processors are counted again: nodes come and go


class RayExecutor(Executor):
    """See the module, and Executor.

    Args:
        address: `auto`, or host and port, of a cluster; none starts one on this machine that ends with it.
        data_class: of the rows.
        statement: why they may go to other machines, see `StorageAttestation`; its places name the cluster as
            `ray://HOST:PORT`.
        cache: see Executor.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: no cluster answers there.
        PolicyError: the rows may not go to its nodes.
    """

    def __init__(
        self,
        address: str | None = None,
        data_class: DataClass = "restricted",
        statement: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        super().__init__(cache)
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
        self._data_class, self._statement = data_class, statement
        try:
            self._check_nodes(ray)
        except TenstepError:
            ray.shutdown()
            raise

    def _check_nodes(self, ray: Any) -> None:
        cluster = f"ray://{ray.get_runtime_context().gcs_address}"
        nodes = (str(node["NodeManagerAddress"]) for node in ray.nodes() if node.get("Alive", True))
        check_nodes(cluster, nodes, self._data_class, self._statement)

    def map(self, work: Callable[[T], R], shards: Iterable[T]) -> Iterator[R | Failed]:
        """See Executor."""
        import ray

        task: Any = ray.remote(_task).options(num_cpus=1, max_retries=_TRIES)
        here = str(Path.cwd())
        running: deque[Any] = deque()  # references to results
        room = 0
        try:
            for number, shard in zip(count(), shards, strict=False):
                if number % _COUNTED == 0:
                    self._check_nodes(ray)
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


def check_nodes(cluster: str, nodes: Iterable[str], data_class: DataClass, statement: Path | None) -> None:
    """See that rows may go to a cluster: to nodes of this machine they always may.

    Args:
        cluster: its URL, as a statement names it.
        nodes: their addresses.
        data_class: of the rows.
        statement: a file, see `StorageAttestation`.

    Raises:
        PolicyError: they may not.
    """
    if data_class == "restricted" and not all(map(is_here, set(nodes))):
        check_place(cluster, data_class, statement)


def is_here(host: str) -> bool:
    """Whether an address is one of this machine: only of its own can a socket be given one."""
    try:
        family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as own:
            own.bind((host, 0))
    except OSError:
        return False
    return True


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
