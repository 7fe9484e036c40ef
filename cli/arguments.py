"""Types of arguments that several commands take."""

import errno
import math
from argparse import Action, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..data.statistics import number_within
from ..schemas.errors import InputError

if TYPE_CHECKING:
    from ..data.sharding import Shard

T = TypeVar("T")
_MOST_SHARDS = 999_999
_MOST_PROCESSES = 1024
_LAST_PORT = 65_535
_LARGEST = 2**31 - 1  # a seed and a size must fit into 32 bits in the libraries below


def read_as(kind: Callable[[str], T]) -> Callable[[str], Any]:
    """A reader of one argument, whose errors argparse shows with the argument's name.

    Args:
        kind: what `type` is of an argument; Path, int and float are read more strictly than Python does.
    """
    read = _STRICTER.get(kind, kind)

    def typed(text: str) -> Any:
        try:
            return read(text)
        except InputError as error:
            raise ArgumentTypeError(error.message) from None

    return typed


def usable_path(text: str) -> Path:
    """A path that names something: not the empty text that an unset variable leaves, which would be this folder.

    Raises:
        InputError: it is empty, or no path can be so.
    """
    if not text:
        raise InputError("the path is empty, perhaps because a variable of the shell is unset")
    path = Path(text)
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise InputError(f"'{text[:100]}' cannot be a path ({error.strerror}); give another") from None
    return path


def whole(text: str) -> int:
    """A whole number, of no more digits than any computer counts to.

    Raises:
        InputError: it is something else.
    """
    try:
        value = int(text)
    except ValueError:
        value = _LARGEST + 1
    if abs(value) > _LARGEST:
        raise InputError(f"'{text[:40]}' is not a whole number")
    return value


def number(text: str) -> float:
    """A finite number.

    Raises:
        InputError: it is something else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"'{text[:40]}' is not a number")
    return value


def positive(text: str) -> int:
    """A whole number from 1.

    Raises:
        InputError: it is something else.
    """
    return _counted(text, 1, _LARGEST, "a whole number above 0")


def processes(text: str) -> int:
    """How many processes: from 0, which is none, to what one machine can hold.

    Raises:
        InputError: it is something else.
    """
    return _counted(text, 0, _MOST_PROCESSES, f"a number of processes, at most {_MOST_PROCESSES:,}")


def some_processes(text: str) -> int:
    """How many processes: one at least.

    Raises:
        InputError: it is something else.
    """
    return processes(str(positive(text)))


def port(text: str) -> int:
    """The number of a port of this machine; 0 is any that is free.

    Raises:
        InputError: it is something else.
    """
    return _counted(text, 0, _LAST_PORT, f"the number of a port, 0 to {_LAST_PORT}")


def not_negative(text: str) -> float:
    """A number from 0.

    Raises:
        InputError: it is something else.
    """
    return number_within(text, 0, math.inf, "a number from 0")


def penalty(text: str) -> float:
    """Of repetitions: a number from 1, which is none, to 10.

    Raises:
        InputError: it is something else.
    """
    return number_within(text, 1, 10, "a penalty from 1 to 10")


def shard_of(text: str) -> "Shard":
    """One of several shards: `2/3`.

    Raises:
        InputError: it is something else.
    """
    from ..data.sharding import Shard

    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= _MOST_SHARDS):
        raise InputError(f"'{text}' is no shard; wanted is I/N, such as 2/3 for the second of three")
    return Shard(int(number), int(of))


def _counted(text: str, least: int, most: int, what: str) -> int:
    """A number in digits alone, within bounds."""
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InputError(f"'{text[:40]}' is not {what}")
    return int(text)


def given(args: Namespace, options: Iterable[Action]) -> list[str]:
    """The names of those options that are not left at their default."""
    return [option.option_strings[0] for option in options if getattr(args, option.dest) != option.default]


def once(paths: Iterable[Path]) -> None:
    """Refuse a file or a folder that is named twice, where each stands for something of its own.

    Raises:
        InputError: one is.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise InputError("is named twice; name each once", file=path)
        seen.add(path.resolve())


_STRICTER: dict[Any, Callable[[str], Any]] = {Path: usable_path, int: whole, float: number}
