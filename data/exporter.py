"""What every exporter shares: the rows that it is given, the folder that it writes, and how it is found by name.

An exporter is one file in data/exporters, named for its kind (`-` written as `_`), with

    PAIRS       "none", "also" or "only": whether it writes preference pairs as well as examples, or nothing else
    write       a function of rows and a Folder, that writes every file but images, card and manifest
    check       (optional) a function of a row that gives what a trainer could not read in it, or None

A row's images are copied by `Folder.images` as they are written, so that a folder trains wherever it is moved.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from ..schemas.errors import ImageError
from ..schemas.export import SplitName
from .files import replacing
from .kinds import module, names

Pairing = Literal["none", "also", "only"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class ExportImage(NamedTuple):
    """One image of a row."""

    path: Path
    sha256: str
    view: str


class Rejection(NamedTuple):
    """A text about the same study that rules rejected."""

    text: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One example, whole."""

    id: str
    split: SplitName
    films: tuple[ExportImage, ...]
    prompt: str
    target: str  # ten steps and the report
    steps: tuple[str, ...]
    report: str
    teacher: str
    model: str
    rejected: tuple[Rejection, ...] = ()


class Folder:
    """Where an exporter writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: set[str] = set()

    def images(self, row: Row, under: str = "images") -> list[str]:
        """Copy a row's images, each once, and give their paths in the folder.

        Raises:
            ImageError: one is missing, or is not the one that was ingested.
        """
        return [self._image(row, film, under) for film in row.films]

    def contents(self, row: Row) -> Iterator[tuple[str, bytes]]:
        """A name and the bytes of each image, for formats that hold images themselves.

        Raises:
            ImageError: one is missing, or is not the one that was ingested.
        """
        for film in row.films:
            self._seen.add(film.sha256)
            yield _name(film), _bytes(row, film)

    def _image(self, row: Row, film: ExportImage, under: str) -> str:
        name = f"{under}/{_name(film)}"
        if not (self.root / name).exists():
            self._seen.add(film.sha256)
            (self.root / under).mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(_bytes(row, film))
        return name

    @property
    def image_count(self) -> int:
        """Images that were written, each counted once."""
        return len(self._seen)

    def lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Write one object a line; no file if there is no row."""
        return self._some(name, rows, "", "", "\n")

    def array(self, name: str, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Write one JSON array; no file if there is no row."""
        return self._some(name, rows, "[\n", "\n]\n", ",\n")

    def _some(self, name: str, rows: Iterable[Mapping[str, Any]], head: str, tail: str, between: str) -> bool:
        rows = iter(rows)
        first = next(rows, None)
        if first is None:
            return False
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.root / name) as stream:
            stream.write(head + json.dumps(first, ensure_ascii=False))
            for row in rows:
                stream.write(between + json.dumps(row, ensure_ascii=False))
            stream.write(tail or between)
        return True

    def json(self, name: str, found: object) -> None:
        """Write one JSON document."""
        self.text(name, json.dumps(found, indent=2, ensure_ascii=False) + "\n")

    def text(self, name: str, text: str) -> None:
        """Write a text file: a loader, a configuration."""
        with replacing(self.root / name) as stream:
            stream.write(text)


def image_stem(sha256: str) -> str:
    """What an exported image is called, by the SHA-256 of its bytes."""
    return sha256[:20]


def _name(film: ExportImage) -> str:
    return f"{image_stem(film.sha256)}{film.path.suffix.lower()}"


def _bytes(row: Row, film: ExportImage) -> bytes:
    try:
        data = film.path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"study '{row.id}': the image cannot be read ({error.strerror}); restore it, or ingest again",
            file=film.path,
        ) from None
    if hashlib.sha256(data).hexdigest() != film.sha256:
        raise ImageError(f"study '{row.id}': the image changed since it was ingested; ingest again", file=film.path)
    return data


class Exporter:
    """A module of data/exporters."""

    def __init__(self, kind: str, module: ModuleType) -> None:
        self.kind = kind
        self._module = module

    @property
    def pairs(self) -> Pairing:
        """Whether it writes preference pairs."""
        pairs: Pairing = self._module.PAIRS
        return pairs

    def check(self, row: Row) -> str | None:
        """What a trainer could not read in a row; none if it can."""
        check: Callable[[Row], str | None] | None = getattr(self._module, "check", None)
        return None if check is None else check(row)

    def write(self, rows: Iterable[Row], folder: Folder) -> None:
        """Write the files."""
        self._module.write(rows, folder)


def by_split(rows: Iterable[Row]) -> Iterator[tuple[SplitName, list[Row]]]:
    """Rows of each split that has some. Rows hold texts and paths, so that a dataset fits into memory."""
    found = list(rows)
    for split in SPLITS:
        some = [row for row in found if row.split == split]
        if some:
            yield split, some


def kinds() -> tuple[str, ...]:
    """The kinds of exporter there are: the files of data/exporters, and plugins."""
    from . import exporters

    return names(exporters, "exporters")


def load(kind: str) -> Exporter:
    """The exporter of that kind.

    Raises:
        InputError: there is none.
    """
    from . import exporters

    return Exporter(kind, module(kind, exporters, "exporters", "exporter"))
