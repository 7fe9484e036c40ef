"""Tables of an audit for the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...data.statistics import Interval
from ...schemas.outcome import Table
from .compare import code_shares, percent_of, shared, shares
from .crosstab import as_tables
from .totals import Totals

if TYPE_CHECKING:
    from ..audit import Audit


def percent(found: Interval) -> str:
    """A share with its interval."""
    return f"{found.share:.1%} ({found.low:.1%} to {found.high:.1%})"


def summary_tables(found: "Audit") -> tuple[Table, ...]:
    """One dataset: verdicts, what was measured, and the steps."""
    totals, extra = found.totals, found.totals.as_dict()
    rows = [
        ("rows", str(totals.rows)),
        ("accepted", f"{totals.accepted}, {percent(totals.acceptance)}"),
        ("in doubt", str(totals.doubted)),
        ("rejected", str(totals.rejected)),
    ]
    rows += [
        (f"  {code}", f"{count}{'' if totals.severities[code] == 'error' else f' ({totals.severities[code]})'}")
        for code, count in totals.codes.most_common()
    ]
    rows += [("rows that were not audited", f"{found.problems.unread:,}")] if found.problems.unread else []
    if totals.read:
        alike, splits = extra["near_duplicates"], extra["splits"]
        rows += [(name, percent_of(name, share)) for name, share in list(shares(totals).items())[1:]]
        rows += [
            ("nearly equal traces", f"{alike['traces']} in {alike['groups']} groups"),
            ("  before different reports", str(alike["before_other_reports"])),
        ]
        if len(totals.split_rows) > 1:
            kinds = ("patients", "studies", "images", "reports")
            rows += [(f"{kind} in two splits", str(splits[f"{kind}_in_two"]["count"])) for kind in kinds]
        if extra["repeated_ids"]:
            rows += [("ids that stand twice", str(extra["repeated_ids"]))]
    tables = [Table(title=f"audit {found.path}", columns=("", ""), rows=tuple(rows))]
    if totals.read:
        tables.append(_steps(totals))
    return (*tables, *as_tables(found.groups))


def _steps(totals: Totals) -> Table:
    rows = []
    for step in (total.as_dict() for total in totals.steps):
        measured = [_share(step[name]) for name in ("grounded", "copied", "repeated")]
        claims = "" if step["claims_per_step"] is None else f"{step['claims_per_step']:.1f}"
        first = totals.concluded[step["step"]]
        rows.append(
            (str(step["step"]), str(step["words"]["median"]), claims, *measured, str(first), str(step["errors"]))
        )
    names = ("step", "words", "claims", "grounded", "copied", "repeated", "concludes", "errors")
    return Table(title="steps", columns=names, rows=tuple(rows))


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def comparison_table(found: "Sequence[Audit]") -> Table:
    """Datasets side by side, and what the first has in common with each other."""
    all_totals = [a.totals for a in found]
    each = [shares(totals) for totals in all_totals]
    rows = [("rows", *(str(totals.rows) for totals in all_totals))]
    rows += [("accepted", *(percent(totals.acceptance) for totals in all_totals))]
    rows += [("in doubt", *(str(totals.doubted) for totals in all_totals))]
    rows += [(name, *(percent_of(name, one[name]) for one in each)) for name in list(each[0])[1:]]
    for code, *each_share in code_shares([(str(a.path), a.totals) for a in found]).itertuples():
        rows.append((f"rows with {code}", *("" if share != share else f"{share:.1%}" for share in each_share)))
    both = [shared(all_totals[0].overlaps, totals.overlaps) for totals in all_totals[1:]]
    rows += [(f"{kind.replace('_', ' ')} also in the first", "", *(str(one[kind]) for one in both)) for kind in both[0]]
    return Table(title="audit", columns=("", *(str(a.path) for a in found)), rows=tuple(rows))
