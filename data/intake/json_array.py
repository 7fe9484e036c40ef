"""A JSON file of splits, `{"train": [{...}, ...], "val": [...]}`, read object by object: never the whole file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ...schemas.errors import InputError
from .reports import Refusal

_CHUNK = 2**18  # characters
_LONGEST = 2**24  # characters of one object


def split_objects(path: Path) -> Iterator[tuple[str, int, dict[str, Any] | Refusal]]:
    """Every object with the key it stands under and its number there, from 1.

    Raises:
        InputError: the file cannot be opened or does not open as such an object. Where it breaks off later, the last
            thing that is yielded says so.
    """
    try:
        file = path.open(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None
    with file:
        text = _Buffer(file)
        if text.next() != "{":
            raise InputError("not a JSON object of splits: {'train': [{...}], ...}", file=path)
        text.drop(1)
        try:
            yield from _splits(text)
        except (ValueError, RecursionError) as error:
            yield "", 0, Refusal("bad_json", f"the file is damaged or cut off here ({str(error)[:120]})")


def _splits(text: "_Buffer") -> Iterator[tuple[str, int, dict[str, Any] | Refusal]]:
    while text.next() != "}":
        if text.next() == ",":
            text.drop(1)
            continue
        key = text.value()
        if not isinstance(key, str) or text.next() != ":":
            raise ValueError("a key is wanted")
        text.drop(1)
        if text.next() != "[":
            text.value()  # something else that the file says of itself
            continue
        text.drop(1)
        number = 0
        while text.next() != "]":
            if text.next() == ",":
                text.drop(1)
                continue
            number += 1
            value = text.value()
            yield key, number, value if isinstance(value, dict) else Refusal("bad_json", "not a JSON object")
        text.drop(1)


class _Buffer:
    """Text of a file, as much as the next value needs."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decoder = json.JSONDecoder()

    def next(self) -> str:
        """The next character that is not white space."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise ValueError("the file ends too early")

    def drop(self, count: int) -> None:
        """Pass over characters."""
        self._at += count

    def value(self) -> Any:
        """The JSON value that begins here."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._more():  # a number may go on in the next chunk
                    self._at = end
                    return value
            except ValueError:
                if len(self._text) - self._at > _LONGEST or not self._more():
                    raise

    def _more(self) -> bool:
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))  # twice as much each time: linear in all
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)
