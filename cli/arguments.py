"""Types of arguments that several commands take."""

from typing import TYPE_CHECKING

from ..schemas.errors import InputError

if TYPE_CHECKING:
    from ..data.sharding import Shard

_MOST_SHARDS = 999_999


def positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise InputError(f"'{text}' is not a whole number above 0")
    return int(text)


def not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100:
        raise InputError(f"'{text}' is not a number from 0 to 100")
    return value


def penalty(text: str) -> float:
    """Of repetitions: a number from 1, which is none, to 10.

    Raises:
        InputError: it is something else.
    """
    value = not_negative(text)
    if not 1 <= value <= 10:
        raise InputError(f"'{text}' is not a penalty from 1 to 10")
    return value


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
