"""The error tree: one class per boundary that can be crossed wrongly.

    TenstepError                 every error a user can fix; one line, exit code 2
    ├── InputError               a file, row or field that cannot be used
    │   ├── ImageError           an image that is missing, broken, too large or not an image
    │   └── LayoutError          a text that holds no readable trace
    ├── RecipeError              a recipe with an unknown key, a wrong value or a missing part
    ├── RunError                 a run folder that cannot be opened, written or continued
    │   ├── RunLockedError       another process works on it
    │   └── NewerRunError        a later version of tenstep wrote it
    ├── PolicyError              data may not go where it was about to go
    ├── TeacherError             a teacher that cannot be asked at all (not a bad answer: that is data)
    ├── TrainingError            a training run that must not start, or cannot go on
    └── MissingExtraError        a part of tenstep that is not installed

A bad candidate is never an error: it is a record with findings.
"""

import errno
import json
import os
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pydantic import ValidationError

HOME = "https://github.com/tenstep/tenstep"
_SHOWN = 160  # characters of what a library says
_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "no such key",
    "string_type": "must be a text",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("model_type", "dict_type", "mapping_type"), "must hold keys and values (key: value)"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), "must be a list"),
}
_SHOULD = re.compile(r"\A(?:Input|String|Data|List|Tuple|Set|Dictionary|JSON input|Value) should(?= )")


class TenstepError(Exception):
    """An error the user can fix.

    Args:
        message: what is wrong, and what to do, in one line.
        file: the file concerned.
        row: its row or line, counted from 1.
        field: the field or key in that row.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        row: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.row = row
        self.field = field

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.field:
            place.append(f"field '{self.field}'")
        line = ": ".join([*place, self.message])
        return " ".join(line.split())

    def as_dict(self) -> dict[str, object]:
        """The same, for machines."""
        return {
            "kind": type(self).__name__,
            "message": self.message,
            "file": self.file,
            "row": self.row,
            "field": self.field,
        }


class InputError(TenstepError):
    """A file, row or field that cannot be used.

    Correct what the message names, or name another file, and give the same command again.
    """


class ImageError(InputError):
    """An image that is missing, broken, too large or not an image.

    Restore the file from its source. If it really is another image now, ingest again.
    """


class LayoutError(InputError):
    """A text that holds no readable trace.

    In a run or an audit it is a finding of the answer; a text of your own needs ten numbered lines and the report.
    """


class RecipeError(TenstepError):
    """A recipe with an unknown key, a wrong value or a missing part.

    Correct the key that is named; `tenstep recipe --explain KEY` says what it may hold.
    """


class RunError(TenstepError):
    """A run folder that cannot be opened, written or continued.

    Choose another `--out`, or restore the file that is named from a copy. Never delete journal.db: it holds every
    answer that was paid for.
    """


class RunLockedError(RunError):
    """Another process works on the run folder.

    Wait until it ends, or stop it. The lock goes with the process that holds it; there is no file to delete.
    """


class NewerRunError(RunError):
    """A later version of tenstep wrote the run folder.

    Update tenstep.
    """


class PolicyError(TenstepError):
    """Data may not go where it was about to go.

    Use a place on this machine, or have the place attested by somebody who may: docs/howto/teacher.md.
    """


class TeacherError(TenstepError):
    """A teacher that cannot be asked at all.

    Start the server, or correct its address, key or quota; `tenstep doctor RECIPE` tries the addresses. Then give
    the same command again, which resumes the run.
    """


class TrainingError(TenstepError):
    """A training run that must not start, or cannot go on.

    Correct what the message names and look at `--preflight`. With `--resume`, a training goes on from its last
    checkpoint.
    """


class MissingExtraError(TenstepError):
    """A part of tenstep that is not installed.

    Install it with the line that is printed: docs/install.md.
    """

    def __init__(self, extra: str, needs: str) -> None:
        super().__init__(f"{needs} is not installed; install it with: {install_command(extra)}")
        self.extra, self.needs = extra, needs

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        """Across processes: an exception is made again from its arguments."""
        return type(self), (self.extra, self.needs)


def first_fault(error: "ValidationError") -> tuple[str, str | None]:
    """What pydantic found wrong first, in plain words, and in which field; not the value, which may be data."""
    first = error.errors(include_url=False, include_input=False)[0]
    message = _PLAIN.get(first["type"]) or _SHOULD.sub("must", first["msg"].removeprefix("Value error, "))
    return message, ".".join(map(str, first["loc"])) or None


def why(error: Exception) -> str:
    """What a library says is wrong, in one short line; some quote the record that they were reading, which is data."""
    from pydantic import ValidationError

    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValidationError):
        message, field = first_fault(error)
        return f"{field}: {message}" if field else message
    lines = str(error).partition(" with text ")[0].strip().splitlines()  # sqlite's, of a text that is no UTF-8
    return (lines[0] if lines else type(error).__name__)[:_SHOWN]


_ADVICE = {  # by what the system says
    errno.ENOSPC: "make room on the disk, then give the same command again",
    errno.EDQUOT: "make room on the disk, then give the same command again",
    errno.EACCES: "see that you may read and write there",
    errno.EPERM: "see that you may read and write there",
    errno.EROFS: "choose a place that can be written",
    errno.EEXIST: "choose another name",
    errno.ENOENT: "see that the name is right and that it still lies there",
    errno.EISDIR: "a file is wanted where a folder is",
    errno.ENOTDIR: "a folder is wanted where a file is",
    errno.EIO: "copy it to another disk, or fetch it again",
}


def advice(said: str) -> str:
    """What may be done about what the system says, as the end of a message; empty if we do not know."""
    return next((f"; {what}" for number, what in _ADVICE.items() if os.strerror(number) in said), "")


def cannot_be_read(error: OSError) -> str:
    """Why a file cannot be read, and what may be done."""
    return f"cannot be read ({why(error)}){advice(why(error))}"


def install_command(extra: str) -> str:
    """How to add an extra to tenstep as it was installed: a checkout, or a git URL; it is not on PyPI."""
    url = f"git+{HOME}"
    texts = [one.read_text("direct_url.json") for one in distributions(name="tenstep")]
    origin = json.loads(next(filter(None, texts), "{}"))
    if origin.get("dir_info", {}).get("editable"):
        return f"pip install -e '{unquote(urlsplit(origin['url']).path)}[{extra}]'"
    if "vcs_info" in origin:
        url = f"{origin['vcs_info']['vcs']}+{origin['url']}"
    return f"pip install 'tenstep[{extra}] @ {url}'"
