"""A Ray cluster as an executor (executor.py): one task a shard. The only file that knows Ray.

    with RayExecutor("auto") as executor:
        executor.map_rows(work, rows, key)

A task whose node or process dies is done again elsewhere; one that dies again and again is KILLED, like a shard that no
process of one machine survives. The results, and their order, are those of one machine. Every node needs the same
tenstep, which each task checks, and sees the same files under the same paths; tasks run in this process's folder. What
a node cannot do names the node. Usage reports, the dashboard and metrics of a cluster that is started here are off, and
Ray prints nothing: its news of nodes would go into what a command writes to standard output.

Rows go to the cluster's nodes. Where one of them is another machine, restricted rows go nowhere without a signed
statement that names the cluster (attested.py); nodes are looked at again as the work goes on, since they come and go.
"""

import ipaddress
import logging
import os
import re
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from ..schemas.errors import InputError, MissingExtraError, TenstepError, why
from ..schemas.study import DataClass
from .attested import check_place
from .executor import KILLED, Executor, Failed, done
from .shard_cache import code

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 3  # tasks for each processor that wait or are done and not taken
_PATIENCE = 10.0  # seconds
_TRIES = 3  # beyond the first
_COUNTED = 64  # shards after which the processors are counted again: nodes come and go
_NODE = re.compile(r"\bip=([\w.:]+)")
_SAME_FILES = "every node must see the same files under the same paths"
# Ray's own switches, for this process; what its user has set stays
_SWITCHES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # its warning is about GPUs
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # none of its messages is printed to standard output
}


class Node(NamedTuple):
    """A machine of a cluster, as it calls itself."""

    address: str
    host: str


class _Home(NamedTuple):
    """Where the command was given."""

    address: str
    folder: str
    code: str  # of tenstep


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
        for name, value in _SWITCHES.items():
            os.environ.setdefault(name, value)
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
        alive = (node for node in ray.nodes() if node.get("Alive", True))
        nodes = {Node(str(node["NodeManagerAddress"]), str(node["NodeManagerHostname"])) for node in alive}
        check_nodes(cluster, nodes, self._data_class, self._statement)

    def map(self, work: Callable[[T], R], shards: Iterable[T]) -> Iterator[R | Failed]:
        """See Executor."""
        import ray

        task: Any = ray.remote(_task).options(num_cpus=1, max_retries=_TRIES)
        home = _Home(ray.util.get_node_ip_address(), str(Path.cwd()), code())
        running: deque[Any] = deque()  # references to results
        room = 0
        try:
            for number, shard in zip(count(), shards, strict=False):
                if number % _COUNTED == 0:
                    self._check_nodes(ray)
                    room = max(2, int(_AHEAD * _cpus(ray)))
                running.append(task.remote(home, work, shard))
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


def check_nodes(cluster: str, nodes: Iterable[Node], data_class: DataClass, statement: Path | None) -> None:
    """See that rows may go to a cluster: to nodes of this machine they always may.

    Args:
        cluster: its URL, as a statement names it.
        nodes: its machines.
        data_class: of the rows.
        statement: a file, see `StorageAttestation`.

    Raises:
        PolicyError: they may not.
    """
    if data_class == "restricted" and not all(map(is_here, nodes)):
        check_place(cluster, data_class, statement)


def is_here(node: Node) -> bool:
    """Whether a node is on this machine: it has its name and one of its addresses.

    An address alone says little: 127.0.0.1 may be a tunnel to another machine, or what a machine without a route takes
    for its address, and many machines have a 172.17.0.1.
    """
    if node.host != socket.gethostname():
        return False
    try:
        family, *_, place = socket.getaddrinfo(node.address, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect(place)  # sends nothing; to itself, a machine speaks from the address that it speaks to
            return bool(ipaddress.ip_address(place[0]).is_loopback or asked.getsockname()[0] == place[0])
    except OSError:
        return False


def _cpus(ray: Any) -> float:
    return float(ray.cluster_resources().get("CPU", 1))


def _task(home: _Home, work: Callable[[T], R], shard: T) -> R | Failed:
    import ray

    try:
        if code() != home.code:
            raise InputError("tenstep, or a plugin, is another one than where the command was given; install the same")
        os.chdir(home.folder)
        return done(work, shard)
    except (TenstepError, OSError) as error:
        raise named(error, ray.util.get_node_ip_address(), home.address) from None


def _result(ref: Any) -> Any:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(ref)
    except RayTaskError as error:
        if isinstance(error.cause, TenstepError | OSError):
            raise error.cause from None
        # the task did not begin: what it is, or is given, is unknown there
        node = _NODE.search(str(error))
        reason = why(error.cause).removeprefix("System error: ")
        where = f"node {node[1]}" if node else "a node"
        raise InputError(f"{where} cannot do this work ({reason}); install there the tenstep that is here") from None
    except RayError:
        return KILLED


def named(error: TenstepError | OSError, node: str, here: str) -> TenstepError | OSError:
    """What a task raised, with the address of its node, unless that is this one: its files are those of the user."""
    if node == here:
        return error
    if isinstance(error, OSError):
        return OSError(error.errno, f"{why(error)}, on node {node}; {_SAME_FILES}", error.filename)
    error.message = f"on node {node}: {error.message}" + (f" ({_SAME_FILES})" if error.file else "")
    return error
