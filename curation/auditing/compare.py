"""Comparison: two datasets or more side by side, and what stands in both. It knows totals, and draws nothing."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...data.statistics import Interval, wilson
from .overlaps import Overlaps
from .totals import Totals

if TYPE_CHECKING:
    from pandas import DataFrame

Named = tuple[str, Totals]


def difference(hits: int, of: int, other_hits: int, other_of: int) -> Interval:
    """The second share minus the first, with its 95 % interval (Newcombe, Stat Med 17, 1998, 873-890, method 10)."""
    one, other = wilson(hits, of), wilson(other_hits, other_of)
    change = other.share - one.share
    low = change - math.hypot(other.share - other.low, one.high - one.share)
    high = change + math.hypot(other.high - other.share, one.share - one.low)
    return Interval(change, low, high)


def shares(totals: Totals) -> dict[str, Interval | None]:
    """What can be compared, by what it is called; none where there is nothing of which it could be a share."""
    return {
        "accepted": totals.acceptance,
        "claims that the reference supports": totals.grounded,
        "reference findings that steps mention": totals.coverage,
        "four-word phrases copied from the reference": totals.copied,
        "conclusion in the first five steps": totals.early,
    }


_NOTHING = {
    "claims that the reference supports": "no claims",
    "reference findings that steps mention": "no findings",
    "four-word phrases copied from the reference": "no phrases",
    "conclusion in the first five steps": "no conclusions",
}


def percent_of(name: str, found: Interval | None, places: int = 1) -> str:
    """One of `shares`, for people."""
    return _NOTHING.get(name, "none") if found is None else f"{found.share:.{places}%}"


def code_shares(datasets: Sequence[Named]) -> "DataFrame":
    """The share of rows that have each code: a row a code, a column a dataset; NaN where there are no rows."""
    import pandas as pd

    frame = pd.DataFrame({at: pd.Series(totals.code_rows, dtype="float64") for at, (_, totals) in enumerate(datasets)})
    order = list(dict.fromkeys(code for _, totals in datasets for code in totals.code_rows))
    rows = pd.Series([totals.rows or float("nan") for _, totals in datasets])
    return frame.reindex(order).fillna(0.0) / rows


def compare(datasets: Sequence[Named]) -> dict[str, Any]:
    """The first dataset against each of the others.

    Only acceptance gets an interval for its difference: rows are judged one by one. Claims and words of one trace
    hang together, so for them the interval would be too narrow.
    """
    (first, base), *others = datasets
    return {
        "first": first,
        "others": {
            name: {
                "acceptance_difference": _rounded(difference(base.accepted, base.rows, totals.accepted, totals.rows)),
                "code_rows": {
                    code: [base.code_rows[code], totals.code_rows[code]]
                    for code in dict.fromkeys((*base.code_rows, *totals.code_rows))
                },
                "in_both": shared(base.overlaps, totals.overlaps),
            }
            for name, totals in others
        },
    }


def shared(one: Overlaps, other: Overlaps) -> dict[str, int]:
    """What stands in two datasets: ids, patients, and nearly equal traces and reports (groups that reach into both)."""
    both = Overlaps()
    both.extend(one)
    both.extend(other)
    border = len(one.ids)
    return {
        "ids": len(set(one.ids) & set(other.ids)),
        "patients": len(one.patients & other.patients),
        "like_traces": sum(min(group) < border <= max(group) for group in both.traces.groups()),
        "like_reports": sum(min(group) < border <= max(group) for group in both.long_report_groups()),
    }


def _rounded(found: Interval) -> dict[str, float]:
    return {"share": round(found.share, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
