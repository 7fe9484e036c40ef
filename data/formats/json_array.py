"""JSON files of many objects, read object by object and never whole: `[{...}, ...]`, and `{"train": [{...}, ...]}`.

Our own reader, for what ijson makes of such files: NaN, as pandas and json.dumps write it, and a long whole number end
the reading there, half a surrogate pair becomes `?` without a word, and its errors quote the data.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

from ...schemas.errors import InputError
from ...schemas.layout import each_key_once
from ..intake.reports import Refusal
from .json_lines import LONGEST
from .packed import CutOffError, open_file

_CHUNK = 2**18  # characters


class ArrayItem(NamedTuple):
    """One object: the key it stands under (empty in a plain array), its number there from 1, and it or a reason."""

    key: str
    number: int
    found: dict[str, Any] | Refusal


def opens_array(path: Path) -> bool:
    """Whether a file is a JSON array, as far as its beginning tells.

    Raises:
        InputError: it cannot be read.
    """
    with open_file(path) as stream:
        return stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def array_objects(path: Path) -> Iterator[ArrayItem]:
    """The objects of an array.

    Raises:
        InputError: the file cannot be opened, or is no array. Where it breaks off later, the last item says so.
    """
    yield from _objects(path, "[", "a JSON array is wanted: [{...}, ...]")


def split_objects(path: Path) -> Iterator[ArrayItem]:
    """The objects of every array that is a value of the file's one object; its other values are passed over.

    Raises:
        InputError: as above.
    """
    yield from _objects(path, "{", "not a JSON object of splits: {'train': [{...}], ...}")


def _objects(path: Path, opening: str, wanted: str) -> Iterator[ArrayItem]:
    with (
        open_file(path) as stream,
        io.TextIOWrapper(cast(BinaryIO, stream), encoding="utf-8-sig", errors="surrogateescape", newline="") as file,
    ):
        text = _Buffer(file)
        last = ArrayItem("", 0, Refusal("bad_json", ""))
        try:
            if text.next() != opening:
                raise InputError(wanted, file=path)
        except ValueError:
            raise InputError(wanted, file=path) from None
        try:
            for last in _array(text, "") if opening == "[" else _splits(text):
                yield last
        except (ValueError, RecursionError, CutOffError) as error:
            why = error.message if isinstance(error, CutOffError) else str(error)[:120]
            refusal = Refusal("bad_json", f"the file is damaged or cut off here ({why}); what follows is not read")
            yield ArrayItem(last.key, last.number + 1, refusal)


def _splits(text: "_Buffer") -> Iterator[ArrayItem]:
    text.drop(1)
    while text.next() != "}":
        if text.next() == ",":
            text.drop(1)
            continue
        key, _ = text.value()
        if not isinstance(key, str) or text.next() != ":":
            raise ValueError("a key is wanted")
        text.drop(1)
        if text.next() == "[":
            yield from _array(text, key)
        else:
            text.value()  # something else that the file says of itself


def _array(text: "_Buffer", key: str) -> Iterator[ArrayItem]:
    text.drop(1)
    number = 0
    while text.next() != "]":
        if text.next() == ",":
            text.drop(1)
            continue
        number += 1
        value, is_text = text.value()
        if not is_text:
            yield ArrayItem(key, number, Refusal("bad_encoding", "not UTF-8; save the file as UTF-8"))
        elif isinstance(value, Refusal):
            yield ArrayItem(key, number, value)
        elif not isinstance(value, dict):
            yield ArrayItem(key, number, Refusal("bad_json", f"a JSON object is wanted, not {type(value).__name__}"))
        else:
            yield ArrayItem(key, number, value)
    text.drop(1)


class _Buffer:
    """Text of a file, as much as the next value needs."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decoder = json.JSONDecoder(object_pairs_hook=self._once)
        self._twice = ""  # what is wrong with the value that is being read, if a key stands in it twice

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

    def value(self) -> tuple[Any, bool]:
        """The JSON value that begins here, and whether all of it was UTF-8; a refusal if a key stands in it twice."""
        self.next()
        while True:
            self._twice = ""
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._more():  # a number may go on in the next chunk
                    return Refusal("bad_json", self._twice) if self._twice else value, self._passed(end)
            except ValueError:
                if len(self._text) - self._at > LONGEST or not self._more():
                    raise

    def _once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        try:
            return each_key_once(pairs)
        except ValueError as error:
            self._twice = str(error)
            return dict(pairs)

    def _passed(self, end: int) -> bool:
        source, self._at = self._text[self._at : end], end
        try:
            return source.isascii() or bool(source.encode())
        except UnicodeEncodeError:
            return False

    def _more(self) -> bool:
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))  # twice as much each time: linear in all
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)
