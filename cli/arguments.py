"""Types of arguments that several commands take."""

from ..schemas.errors import InputError


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


def share(text: str) -> float:
    """A share, from above 0 to 1.

    Raises:
        InputError: it is something else.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise InputError(f"'{text}' is not a share above 0 and up to 1")
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
