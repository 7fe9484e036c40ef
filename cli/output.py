"""What a command returns, put where its user looks: tables and lines on the terminal, JSON on stdout or in a file.

Everything of a terminal passes through `printable`: a name, an id or a message may hold what moves the cursor, sets the
window's title or turns the order of letters (ESC, OSC, bidi overrides), and comes out as its code point instead.
A file is replaced only if it is what the same command wrote before, and is its owner's alone unless the command knows
its data to be public.
"""

import argparse
import errno
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..schemas.errors import InputError
from .streams import takes_every_letter

if TYPE_CHECKING:
    from ..schemas.outcome import Outcome

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CANDIDATES = re.compile(r"[^\x20-\x7e\n\t]")
_PAGE = b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy"'
_LOOKED_AT = 1 << 20  # bytes of a file that exists
_FIRST_KEY = re.compile(r'\s*\{\s*"((?:[^"\\]|\\.)*)"\s*:')


def printable(text: str) -> str:
    """A text for a terminal: control, format and bidi characters as their code points; line breaks and tabs stay."""
    return _CANDIDATES.sub(_code_point, text)


def _code_point(match: re.Match[str]) -> str:
    char = match[0]
    return char.encode("unicode_escape").decode() if unicodedata.category(char) in _HIDDEN else char


def as_json(found: Any, *, ascii_only: bool = False) -> str:
    """One line of JSON in which hidden characters are escaped, as JSON allows: readers get the same text back."""
    text = json.dumps(found, ensure_ascii=ascii_only, allow_nan=False)
    return _CANDIDATES.sub(
        lambda match: json.dumps(match[0])[1:-1] if unicodedata.category(match[0]) in _HIDDEN else match[0], text
    )


def say(line: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{printable(line)}\n")


def show(outcome: "Outcome", stream: TextIO | None = None) -> None:
    """The tables and notes of an outcome, for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # which main knows; rich would end the process with exit code 1

    console = Plain(file=stream or sys.stdout, soft_wrap=False)
    for table in outcome.tables:
        title = Text(printable(table.title)) if table.title else None
        drawn = Table(title=title, title_justify="left", show_header=any(table.columns))
        for column in table.columns:
            drawn.add_column(Text(printable(column)))
        for row in table.rows:
            drawn.add_row(*(Text(printable(cell)) for cell in row))
        console.print(drawn)
    for note in outcome.notes:
        console.print(Text(printable(note)), soft_wrap=True)


def write_json(rows: Iterable[Any], target: str, *, private: bool = True) -> None:
    """One object a line, on stdout if the target is `-`, else into a file that appears when it is whole.

    Raises:
        InputError: the file cannot be written.
    """
    if target == "-":
        ascii_only = not takes_every_letter()
        sys.stdout.writelines(as_json(row, ascii_only=ascii_only) + "\n" for row in rows)
        return
    from ..data.files import replacing

    path = Path(target)
    try:
        with replacing(path, private=private) as stream:
            stream.writelines(as_json(row) + "\n" for row in rows)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror}); choose another --json OUT", file=target) from None


def check_json_target(args: argparse.Namespace) -> None:
    """Refuse a --json OUT that is an input, or that exists and is not what the same command writes.

    Args:
        args: of a command whose parser says with `json_keys` how its output begins: one set of keys for each form.

    Raises:
        InputError: it is refused.
    """
    if args.json in (None, "-"):
        return
    target = Path(args.json)
    values = (value if isinstance(value, list | tuple) else (value,) for value in vars(args).values())
    paths = [path.resolve() for value in values for path in value if isinstance(path, Path)]
    if target.resolve() in paths:
        raise InputError("is what the command reads or writes; choose another --json OUT", file=target)
    folder = target.resolve().parent
    made = any(path in (folder, *folder.parents) or folder in path.parents for path in paths)  # by the command, maybe
    if folder.exists() or not made:
        _check_can_be_written(target, "--json OUT")
    if target.is_file() and target.stat().st_size and not _wrote(target, getattr(args, "json_keys", ())):
        raise InputError(
            "exists and is not what this command writes; remove it, or choose another --json OUT", file=target
        )


def _check_can_be_written(file: Path, option: str) -> None:
    """Before hours of work: what a file's folder tells about whether it can be written."""
    folder = file.resolve().parent
    number = (
        errno.EISDIR if file.is_dir() else 0 if folder.is_dir() else errno.ENOTDIR if folder.exists() else errno.ENOENT
    )
    if not number and not os.access(folder, os.W_OK) and not (file.exists() and not file.is_file()):
        number = errno.EACCES
    if number:
        raise InputError(f"cannot be written ({os.strerror(number)}); choose another {option}", file=file)


def _wrote(file: Path, forms: Iterable[frozenset[str]]) -> bool:
    with file.open("rb") as stream:
        text = stream.read(_LOOKED_AT).decode("utf-8", "replace")
    try:
        found = json.loads(text.partition("\n")[0])
        keys = set(found) if isinstance(found, dict) else set()
    except (ValueError, RecursionError):  # long, or laid out over lines
        first = _FIRST_KEY.match(text)
        return first is not None and any(first[1] in form for form in forms)
    return keys == {"error"} or any(form <= keys for form in forms)


def check_page_target(path: Path, option: str | None) -> None:
    """Refuse to write a page over a file that is none of ours, or where none can be written.

    Raises:
        InputError: it exists and is no page of tenstep, or its folder takes no file.
    """
    if option is not None:  # else it lies in a run, which is still to be opened
        _check_can_be_written(path, option)
    if not path.is_file():
        return
    with path.open("rb") as stream:
        if stream.read(len(_PAGE)) not in (b"", _PAGE):
            raise InputError("exists and is no page of tenstep; remove it, or choose another name", file=path)
