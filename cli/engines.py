"""The options of commands whose work is spread over processes or a cluster: --workers, --engine, --address, --keep."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..schemas.errors import InputError
from .arguments import positive

if TYPE_CHECKING:
    from ..data.workers import Workers


def add_engine_options(parser: argparse.ArgumentParser, *, keeps: bool = True) -> None:
    """Add them.

    Args:
        parser: the command's.
        keeps: whether finished shards can be kept in a folder.
    """
    parser.add_argument("--workers", type=positive, metavar="N", help="processes of this machine (one a core)")
    add_engine_choice(parser)
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
def engine_of(args: argparse.Namespace, default: int | None = None) -> Iterator["Workers"]:
    """Who does the work of a command.

    Args:
        args: with `add_engine_options`.
        default: processes, if nothing else is said; one a core if none.

    Raises:
        InputError: options that contradict each other, or no cluster at the address.
        MissingExtraError: Ray is not installed.
    """
    from ..data.workers import cores

    check_address(args)
    if args.engine == "processes":
        yield args.workers or default or cores()
        return
    if args.workers:
        raise InputError("--workers is of this machine; a Ray cluster uses all its processors: leave it out")
    from ..data.ray_engine import RayEngine

    with RayEngine(args.address) as engine:
        yield engine
