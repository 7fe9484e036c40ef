"""The head of a study store (store.json): what the store says of itself, and how that is counted together."""

from collections import Counter
from typing import Any, get_args

from pydantic import Field

from ...schemas.base import Record
from ...schemas.study import DataClass, ReportForm
from .batch import Counts, add_counts

BESIDE = ("rejected", "warnings", "traces")


class StoreHead(Record):
    """What a store says of itself (store.json)."""

    source: str = Field(description="The kind of source it was ingested from.")
    data_class: DataClass = Field(description="restricted if a single study is.")
    report_form: ReportForm | None = Field(description="How the references were made; none without studies.")
    studies: int
    rejected: dict[str, int] = Field(description="Rejected rows by reason.")
    warnings: dict[str, int] = Field(description="Warnings by code.")
    traces: int = Field(description="Traces that came with the source, in traces.jsonl.")
    rows: int = Field(0, description="Rows of the source that were read.")
    images: int = Field(0, description="Images of all studies.")
    views: dict[str, int] = Field(default_factory=dict, description="Studies by view that they have.")
    sections: dict[str, int] = Field(default_factory=dict, description="Studies by section that their report has.")
    splits: dict[str, int] = Field(default_factory=dict, description="Studies by the source's own split.")
    derived: dict[str, int] = Field(
        default_factory=dict, description="Studies by what of them is not the source's own."
    )
    tokens: int = Field(0, description="Words of all references, apart by white space.")
    longest: int = Field(0, description="Words of the longest reference.")
    options: dict[str, Any] = Field(default_factory=dict, description="What the source was told.")
    finished: bool


class Tally:
    """What the parts of a source have come to so far."""

    def __init__(self) -> None:
        self._counts: Counts = {}

    def add(self, counts: Counts) -> None:
        """One part more."""
        self._counts = add_counts(self._counts, counts)

    def of(self, name: str) -> Counter[str]:
        """Counts of one kind, e.g. rejected."""
        return Counter(self._counts.get(name, {}))

    @property
    def studies(self) -> int:
        """Studies."""
        return self.of("sums")["studies"]

    @property
    def rows(self) -> int:
        """Rows of the source."""
        return self.of("sums")["rows"]

    def head(self, source: str, options: dict[str, Any]) -> StoreHead:
        """The head of a finished store."""
        sums, forms = self.of("sums"), self.of("forms")
        return StoreHead(
            source=source,
            data_class="public" if set(self.of("classes")) == {"public"} else "restricted",
            report_form=next((form for form in get_args(ReportForm) if form in forms), None),
            studies=sums["studies"],
            traces=self.of("traces").total(),
            rows=sums["rows"],
            images=sums["images"],
            tokens=sums["tokens"],
            longest=self.of("largest")["tokens"],
            options=options,
            finished=True,
            **{name: dict(sorted(self.of(name).items(), key=lambda pair: (-pair[1], pair[0]))) for name in _COUNTED},
        )


_COUNTED = ("rejected", "warnings", "views", "sections", "splits", "derived")
