"""The options of commands whose work is spread over processes or a cluster: --workers, --engine, --address, --keep.

Rows of restricted data leave for the nodes of a cluster that are other machines only with --attestation
(data/attested.py), and what does not say that it is public is restricted.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from ..schemas.study import DataClass
from .arguments import some_processes

if TYPE_CHECKING:
    from ..data.executor import Executor


def add_engine_options(
    parser: argparse.ArgumentParser, *, keeps: bool = True, attests: bool = True, classed: bool = True
) -> None:
    """Add them.

    Args:
        parser: the command's.
        keeps: whether finished shards can be kept in a folder.
        attests: whether it needs --attestation; another part of the command may have added it.
        classed: whether what it reads says of itself if it is public; else --data-class says so.
    """
    parser.add_argument("--workers", type=some_processes, metavar="N", help="processes of this machine (one a core)")
    add_engine_choice(parser)
    if attests:
        parser.add_argument(
            "--attestation", type=Path, metavar="FILE", help="why restricted data may go to a cluster's nodes, signed"
        )
    if not classed:
        parser.add_argument(
            "--data-class",
            choices=("public", "restricted"),
            help="of rows that go to other machines, where they do not say it (restricted)",
        )
    if keeps:
        parser.add_argument(
            "--keep", type=Path, metavar="DIR", help="keep finished shards here: after a kill, only the others are done"
        )


def add_engine_choice(parser: argparse.ArgumentParser) -> None:
    """Where the work is done, for commands whose --workers means something else."""
    parser.add_argument(
        "--engine", choices=("processes", "ray"), default="processes", help="where the work is done (processes)"
    )
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="of a Ray cluster, or auto (without: one of this machine alone)"
    )


def check_address(args: argparse.Namespace) -> None:
    """Raises:
    InputError: an address without the engine that it is of.
    """
    if args.address and args.engine == "processes":
        raise InputError("--address is of a Ray cluster; add --engine ray")


@contextmanager
def executor_of(
    args: argparse.Namespace,
    default: int | None = None,
    *,
    reads: Sequence[Path] = (),
    data_class: DataClass | None = None,
) -> Iterator["Executor"]:
    """Who does the work of a command.

    Args:
        args: with `add_engine_options`.
        default: processes, if nothing else is said; one a core if none.
        reads: runs, stores and files whose rows go there.
        data_class: of the rows; if not given, what the folders that it reads say.

    Raises:
        InputError: options that contradict each other, or no cluster at the address.
        PolicyError: its nodes are other machines, the rows are restricted, and no attestation allows it.
        MissingExtraError: Ray is not installed.
    """
    from ..data.processes import Processes, cores

    check_address(args)
    cache = getattr(args, "keep", None)  # `ingest` and `curate` have no such option
    if args.engine == "processes":
        yield Processes(args.workers or default or cores(), cache)
        return
    if args.workers:
        raise InputError("--workers is of this machine; a Ray cluster uses all its processors: leave it out")
    from ..data.attested import class_of
    from ..data.ray_executor import RayExecutor

    if data_class is None:
        data_class = "public" if reads and all(class_of(path) == "public" for path in reads) else "restricted"
    with RayExecutor(args.address, data_class, args.attestation, cache) as executor:
        yield executor
