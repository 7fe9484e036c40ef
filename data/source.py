"""What every source shares: the options it is given, the rows it may yield, and how it is found by name.

A source is one file in data/sources, named for its kind (`-` written as `_`), with one function

    def read(path: Path, options: Options) -> Iterator[Row]

It yields a Study or a RejectedRow for each thing it finds, and beside them what would otherwise be lost:
a SourceWarning about a study that was kept, a SourceTrace when the source already holds reasoning. It
raises InputError only when nothing can be read at all; one bad row never ends it. It writes nothing but
converted images, under `options.converted`.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from pydantic import Field

from ..schemas.base import Noun, Record
from ..schemas.errors import InputError
from ..schemas.study import DataClass, RejectedRow, ReportForm, Study


class Options(Noun):
    """What a source is told. What it has no use for, it leaves alone."""

    images: Path | None = Field(None, description="The folder that holds the images; a source may know better.")
    text_only: bool = Field(False, description="Studies without pixels: images are neither required nor opened.")
    form: ReportForm | None = Field(None, description="How the reference is made; none: the source's default.")
    data_class: DataClass = Field("restricted", description="For sources that cannot know it; the careful default.")
    converted: Path | None = Field(None, description="Folder for images that had to be converted; made when needed.")


class SourceWarning(Record):
    """Something odd about a study that was kept all the same."""

    study_id: str
    code: str = Field(description="A short code, counted in tables: other_body_part, ...")
    detail: str = ""


class SourceTrace(Record):
    """Reasoning that came with a report, kept apart from it in the form that an audit reads."""

    id: str = Field(description="The study's id.")
    text: str = Field(description="Steps and report, as the source holds them.")
    reference_report: str = Field(description="The study's report.")
    views: tuple[str, ...] = ()
    has_prior: bool = False


Row = Study | RejectedRow | SourceWarning | SourceTrace


class Source(Protocol):
    """A module of data/sources."""

    def read(self, path: Path, options: Options) -> Iterator[Row]:
        """Yield what lies at `path`."""
        ...


def kinds() -> tuple[str, ...]:
    """The kinds of source there are: the files of data/sources."""
    from . import sources

    return tuple(sorted(name.replace("_", "-") for _, name, _ in pkgutil.iter_modules(sources.__path__)))


def load(kind: str) -> Source:
    """The source of that kind.

    Raises:
        InputError: there is none.
    """
    if kind not in kinds():
        raise InputError(f"there is no source '{kind}'; there are: {', '.join(kinds())}")
    from . import sources

    return cast(Source, importlib.import_module(f".{kind.replace('-', '_')}", sources.__name__))
