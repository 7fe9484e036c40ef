"""The headline of an audit page: a dataset's most important numbers as tiles, or several datasets side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...data.statistics import Interval, wilson
from .compare import difference, percent_of, shared, shares
from .totals import Totals

if TYPE_CHECKING:
    from ..audit import Audit

_TILES = {
    "claims that the reference supports": "of the claims are supported by the reference",
    "reference findings that steps mention": "of the reference's findings are mentioned",
    "four-word phrases copied from the reference": "of the four-word phrases are copied from it",
    "conclusion in the first five steps": "give the conclusion away by step 5",
}


class Tile(NamedTuple):
    """One of the numbers that come first."""

    number: str
    name: str
    more: str = ""


def tiles(totals: Totals) -> list[Tile]:
    """The numbers that come first."""
    acceptance = totals.acceptance
    counts = f"{totals.accepted:,} of {totals.rows:,}; {_range(acceptance)}"
    doubted = wilson(totals.doubted, totals.rows)
    found = [
        Tile(f"{acceptance.share:.0%}", "accepted", counts),
        Tile(f"{doubted.share:.0%}", "in doubt", f"{totals.doubted:,} of {totals.rows:,}"),
    ]
    for name, share in list(shares(totals).items())[1:]:
        found.append(Tile(percent_of(name, share, 0), "" if share is None else _TILES[name]))
    alike = totals.overlaps.alike()
    near = sum(group.traces for group in alike)
    return [*found, Tile(f"{near:,}", "traces nearly equal to another", f"{len(alike):,} groups")]


def _range(found: Interval) -> str:
    return f"95 % interval {found.low:.0%} to {found.high:.0%}"


def compared(audits: "Sequence[Audit]") -> list[tuple[str, list[str]]]:
    """Datasets side by side, and what they share: rows of a table, each with a cell for each dataset."""
    base = audits[0].totals
    each = [shares(audit.totals) for audit in audits]
    rows = [("traces", [f"{audit.totals.rows:,}" for audit in audits])]
    rows += [(name, [percent_of(name, one[name]) for one in each]) for name in each[0]]
    changes = ["" if not at else _change(base, audit.totals) for at, audit in enumerate(audits)]
    rows.insert(2, ("difference to the first, 95 % interval", changes))
    both = [shared(base.overlaps, audit.totals.overlaps) for audit in audits[1:]]
    said = {"ids": "same ids as the first", "patients": "same patients", "like_traces": "groups of nearly equal traces",
            "like_reports": "groups of nearly equal reports"}  # fmt: skip
    return [*rows, *((words, ["", *(f"{one[kind]:,}" for one in both)]) for kind, words in said.items())]


def _change(base: Totals, totals: Totals) -> str:
    found = difference(base.accepted, base.rows, totals.accepted, totals.rows)
    return f"{found.share:+.1%} ({found.low:+.1%} to {found.high:+.1%})".replace("-", "−")
