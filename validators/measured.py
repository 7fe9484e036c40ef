"""How each code fared on labelled traces that were written without a look at the rules.

`measured.json` is written by `python -m benchmarks.code_precision --write`, with the hash of the rules that were
measured.
"""

import hashlib
import json
from functools import cache
from importlib import resources
from typing import NamedTuple

FILE = "measured.json"


class Measured(NamedTuple):
    """Hits on good and on bad traces by code."""

    of: str  # the set, in words
    good: int  # traces
    bad: int
    rules_sha256: str
    codes: dict[str, tuple[int, int]]

    @property
    def current(self) -> bool:
        """Whether the rules are still those that were measured."""
        return self.rules_sha256 == rules_sha256()


@cache
def read() -> Measured:
    """The file."""
    found = json.loads(resources.files(__package__ or "").joinpath(FILE).read_text("utf-8"))
    codes = {code: (good, bad) for code, (good, bad) in found.pop("codes").items()}
    return Measured(codes=codes, **found)


@cache
def rules_sha256() -> str:
    """Hash of the code and the word lists that judge."""
    digest = hashlib.sha256()
    here = resources.files(__package__ or "")
    for folder in (here, here.joinpath("findings")):
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            if file.is_file() and file.name not in (FILE, "measured.py") and not file.name.endswith(".pyc"):
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
