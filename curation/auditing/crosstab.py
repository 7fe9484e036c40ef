"""Cross-tabulation: outcomes by split, view, layout and finding of the reference, to see which part is the weak one.

Groups overlap where a row has several findings, so those of one kind do not add up to the rows.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from ...schemas.outcome import Table
from ...schemas.verdict import Outcome
from .items import Item

if TYPE_CHECKING:
    from pandas import DataFrame

Groups = list[tuple[str, str]]  # kind and group
Counts = Counter[tuple[str, str, str]]  # kind, group, outcome
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_MOST = 30  # groups of one kind


def groups_of(item: Item) -> Groups:
    """The groups that a row is in."""
    found = [("layout", item.layout), ("view", ", ".join(item.study.views) or "not said")]
    if item.split is not None:
        found.append(("split", item.split))
    if item.measured is not None:
        names = [name.replace("_", " ") for name in item.measured.measure.covered]
        found += [("finding", name) for name in names or ["none"]]
    return found


def crosstabs(counts: Counts) -> dict[str, "DataFrame"]:
    """For each kind of group a table: a row a group, the largest first; columns rows, accept, doubt, reject, share.

    Args:
        counts: rows by kind, group and outcome.
    """
    import pandas as pd

    if not counts:
        return {}
    series = pd.Series(dict(counts), dtype="int64").rename_axis(["kind", "group", "outcome"])
    wide = series.unstack("outcome", fill_value=0).reindex(columns=list(OUTCOMES), fill_value=0)
    wide.insert(0, "rows", wide.sum(axis=1))
    wide["share"] = (wide["accept"] / wide["rows"]).round(4)
    tables = {}
    for kind in dict.fromkeys(kind for kind, _, _ in counts):
        # by name where sizes are equal, so that the order does not depend on that of the rows
        one = pd.DataFrame(wide.xs(kind, level="kind")).sort_index()
        tables[kind] = one.sort_values("rows", ascending=False, kind="stable").head(_MOST)
    return tables


def as_dict(counts: Counts) -> dict[str, Any]:
    """For machines."""
    return {kind: frame.to_dict("index") for kind, frame in crosstabs(counts).items()}


def as_tables(counts: Counts) -> Iterator[Table]:
    """For people: the kinds that have more than one group, except findings, of which there are many."""
    for kind, frame in crosstabs(counts).items():
        if kind != "finding" and len(frame) > 1:
            columns = (kind, "rows", "accepted", "in doubt", "rejected")
            yield Table(title=f"by {kind}", columns=columns, rows=lines(frame))


def lines(frame: "DataFrame") -> tuple[tuple[str, ...], ...]:
    """A table's rows as text."""
    return tuple(
        (
            str(one.Index),
            f"{one.rows:,}",
            f"{one.accept:,}, {one.share:.0%}",
            f"{one.doubt:,}",
            f"{one.reject:,}",
        )
        for one in frame.itertuples()
    )
