"""What must not be in a folder that is published: secrets, training texts, pickles, unexpected files, machine paths.

Texts are looked for as runs of eight words, whatever stands between the words, in every text file and in what
safetensors files say of themselves. Finding nothing is no proof: weights can remember what they were trained on.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ...data.exporters.parquet import texts_in
from ...data.secrets import SECRETS
from ...schemas.errors import InputError

WORDS = 8
_ALLOWED = (
    ".safetensors",
    ".safetensors.index.json",
    ".json",
    ".jinja",
    ".model",
    ".gguf",
    "README.md",
    "prompt.yaml",
    "LICENSE",
    "NOTICE",
    "merges.txt",
    "vocab.txt",
)
_BINARY = (".safetensors", ".model", ".gguf", ".png", ".jpg", ".jpeg")
_LANGUAGE = ("tokenizer.json", "vocab.txt", "merges.txt", "vocab.json")  # words in no order of a text
_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|Users|mnt|media|scratch|data|tmp|work)/[\w./-]+|\b[A-Z]:\\\\?Users\\")
_WORD = re.compile(r"[^\W_]+")


class Problem(NamedTuple):
    """Why a folder may not leave."""

    file: str
    code: str
    detail: str


def unexpected_files(folder: Path) -> Iterator[Problem]:
    """Files that are no part of a model: pickles can run code, tables can hold patients."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            yield Problem(name, "link", "a link; what it leads to is not checked")
        elif path.is_dir() or not path.name.endswith(_ALLOWED):
            yield Problem(name, "unexpected_file", "no part of a model; only weights, configs, prompt and card leave")


def secrets(folder: Path) -> Iterator[Problem]:
    """Keys, tokens and passwords, and paths that name this machine or its user. Secrets are not quoted."""
    for name, text in texts(folder):
        for what, pattern in SECRETS:
            if pattern.search(text):
                yield Problem(name, "secret", f"{what}; take it out, and have it revoked")
        found = _PATH.search(text)
        if found:
            yield Problem(name, "machine_path", f"a path of this machine ({found.group()[:60]})")


def verbatim_report_text(folder: Path, reports: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    """Runs of eight words that stand in a report as well: one problem a file.

    Args:
        folder: what would leave.
        reports: study id and text; read once, whatever their number.
    """
    found: dict[tuple[str, ...], str] = {}
    for name, text in texts(folder):
        if name not in _LANGUAGE:
            found.update(dict.fromkeys(_runs(text), name))
    reported: set[str] = set()
    for study, report in reports:
        for run in _runs(report):
            name = found.get(run, "")
            if name and name not in reported:
                reported.add(name)
                yield Problem(name, "report_text", f"text of study '{study}', which it was trained on")


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every text of a folder by file name; of safetensors, what their headers say besides tensors."""
    for path in sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()):
        name = str(path.relative_to(folder))
        if path.suffix == ".safetensors":
            yield name, _metadata(path)
        elif path.suffix == ".parquet":
            yield name, "\n".join(texts_in(path))
        elif path.suffix not in _BINARY:
            yield name, path.read_text("utf-8", errors="replace")


def _metadata(path: Path) -> str:
    """The free part of a safetensors header: its length in 8 bytes, little-endian, then JSON."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > 100_000_000:
            raise InputError("is no safetensors file; restore it from a copy", file=path)
        try:
            return json.dumps(json.loads(stream.read(length)).get("__metadata__", {}))
        except ValueError:
            raise InputError("is no safetensors file; restore it from a copy", file=path) from None


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return (tuple(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1))
