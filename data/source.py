"""What every source shares: the options it is given, the rows it may yield, and how it is found by name.

A source is one file in data/sources, named for its kind (`-` written as `_`), with one function

    def read(path: Path, options: SourceOptions) -> Iterator[Row]

It yields a Study or a RejectedRow for each thing it finds, and with them what would otherwise be lost:
a SourceWarning about a study that was kept, a SourceTrace when the source already holds reasoning, Marks of what
was not the source's own, and RowsRead where a study is made of several rows. It raises InputError only when nothing
can be read at all; one bad row never ends it. It writes nothing but images, under `options.converted`.

A source that is large, or has images, has two functions instead, and is read on several cores and resumed:

    def shards(path: Path, options: SourceOptions) -> Iterator[Shard]           quick: only finds out what there is
    def read_shard(shard: Shard, options: SourceOptions) -> Iterator[Row]       pure: the same rows for the same shard

and perhaps, for a bar that knows its end,

    def share(shard: Shard) -> float                                      how much of the source lies up to its end

A Shard is small, is the same in every run over the same source, and can be pickled, so that another engine can take
`read_shard` over as it is. The rows of one study never lie in two shards.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from pydantic import Field

from ..schemas.base import Noun, Record
from ..schemas.study import DataClass, RejectedRow, ReportForm, Study
from .columns import Columns
from .kinds import module, names

Missing = Literal["require", "allow", "reject"]


class SourceOptions(Noun):
    """What the caller asks of a source. What it has no use for, it leaves alone."""

    images: Path | None = Field(None, description="The folder that holds the images; a source may know better.")
    text_only: bool = Field(False, description="Studies without pixels: images are neither required nor opened.")
    form: ReportForm | None = Field(None, description="How the reference is made; none: the source's default.")
    data_class: DataClass = Field("restricted", description="For sources that cannot know it; the careful default.")
    public_because: str | None = Field(
        None, min_length=8, description="Why data that bears marks of a restricted dataset is public all the same."
    )
    patients: Path | None = Field(None, description="For folders: a CSV of id and patient_id, perhaps split.")
    columns: Columns = Field(Columns(), description="For csv and hf: which column is what.")
    missing_findings: Missing = Field(
        "reject",
        description="What becomes of a study without findings in the four-header form: reject and allow say what they "
        "do; require rejects it too, and says at the end that the source is not what it should be.",
    )
    missing_impression: Missing = Field("reject", description="The same, of the impression.")
    one_image: Literal["frontal-first", "canvas"] | None = Field(
        None, description="One image a study: its first frontal view, or all views side by side; none: all as they are."
    )
    longest_side: int | None = Field(
        None, ge=64, description="Pixels; larger images are kept as copies of this size, made once; none: as they are."
    )
    fewer_views: Literal["warn", "reject"] = Field(
        "warn", description="A study whose report is about more views than its images show."
    )
    converted: Path | None = Field(None, description="Folder for images that had to be converted; made when needed.")


class SourceWarning(Record):
    """Something odd about a study that was kept all the same."""

    study_id: str
    code: str = Field(description="A short code, counted in tables: other_body_part, ...")
    detail: str = ""


class SourceTrace(Record):
    """Reasoning that came with a report, kept separate from it, in the form that an audit reads."""

    id: str = Field(description="The study's id.")
    text: str = Field(description="Steps and report, as the source holds them.")
    reference_report: str = Field(description="The study's report.")
    views: tuple[str, ...] = ()
    has_prior: bool = False


class Marks(NamedTuple):
    """What of a study is not the source's own: technique, view, findings, impression, history, image (derived)."""

    study_id: str
    derived: tuple[str, ...]


class RowsRead(NamedTuple):
    """Rows of the source that were read, where that is another number than studies and rejected rows."""

    rows: int


Row = Study | RejectedRow | SourceWarning | SourceTrace | Marks | RowsRead

Shard = tuple[Any, ...]  # a source's own; plain values and paths


class Source:
    """A module of data/sources, read one way whether it has shards or not."""

    def __init__(self, kind: str, module: ModuleType) -> None:
        self.kind = kind
        self._module = module

    @property
    def has_shards(self) -> bool:
        """Whether parts of it can be read on their own."""
        return hasattr(self._module, "read_shard")

    def shards(self, path: Path, options: SourceOptions) -> Iterator[Shard]:
        """Its parts, in order."""
        return iter(self._module.shards(path, options))

    def read_shard(self, shard: Shard, options: SourceOptions) -> Iterator[Row]:
        """What lies in one part."""
        return iter(self._module.read_shard(shard, options))

    def share(self, shard: Shard) -> float | None:
        """How much of the source lies up to the end of this part, from 0 to 1; none if that is not known."""
        share = getattr(self._module, "share", None)
        return None if share is None else float(share(shard))

    def read(self, path: Path, options: SourceOptions) -> Iterator[Row]:
        """Yield what lies at `path`."""
        if not self.has_shards:
            yield from self._module.read(path, options)
            return
        for shard in self.shards(path, options):
            yield from self.read_shard(shard, options)


def kinds() -> tuple[str, ...]:
    """The kinds of source there are: the files of data/sources, and plugins."""
    from . import sources

    return names(sources, "sources")


def load(kind: str) -> Source:
    """The source of that kind.

    Raises:
        InputError: there is none.
    """
    from . import sources

    return Source(kind, module(kind, sources, "sources", "source"))
