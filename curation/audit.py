"""Audit: judge the reasoning of any dataset by the rules that accept ours. It changes nothing and sends no request.

    rows (data/foreign.py) or a run ──► items: row, verdict ──► totals, examples ──► table, audit.json, audit.html

    rows               rows that were judged
    accepted           rows without an error or an open doubt; acceptance: the share, with its 95 % interval
    doubted            rows in doubt
    rejected           rows with an error
    codes              findings by code
    code_rows          rows by code
    items              a row each: id, accepted, outcome, findings (rule, code, severity, step, message)
    unreadable         rows that could not be judged, and why; odd: rows that were, and what is odd about them
    problem_rows       how many there are of both
    without_reference  rows without reference_report
    without_report     rows that have no report of their own either
    funnel             by rule, in order: rows that its errors stopped first, and rows left
    steps              by step: words, claims, shares (grounded, copied, repeated), errors
    grounded           share of claims that the reference supports
    coverage           share of the references' findings that a step mentions, in all and by finding
    copied             share of four-word phrases that are in the reference
    conclusion         in which step the impression's conclusion is first asserted
    near_duplicates    groups of traces that are nearly equal
    splits             patients, studies, images and reports in two splits
    by                 the outcomes by layout, view and other groups

A row without `reference_report` is judged against the report in its own text: whether that report is verbatim
cannot be said then, and the audit says so. A row that cannot be read is named and counted; the rest is audited.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.executor import Executor
from ..data.processes import THIS_PROCESS
from ..schemas.errors import InputError
from .auditing import crosstab
from .auditing.examples import Examples
from .auditing.items import Item, is_run, items
from .auditing.judged import AS_IT_IS, Reader
from .auditing.problems import Problems, RowProblem
from .auditing.spool import Spool
from .auditing.totals import Totals
from .template_trace import CODE, Count, Templates, marked

if TYPE_CHECKING:
    from pandas import DataFrame

_AT_ONCE = 128  # rows that are compared with all before them, and counted, at once


class Audit:
    """What was found at one path. Close it, or use it in a `with` block: verdicts are kept in a temporary file."""

    def __init__(self, path: Path, examples: Examples | None = None) -> None:
        self.path = path
        self.name = path.resolve().name
        self.totals = Totals()
        self.problems = Problems()
        self.restricted = False
        self.probe = _probe_of(path)
        self.examples = examples
        self._spool = Spool()
        self._templates = Templates()

    def add_all(self, rows: Sequence[Item | RowProblem]) -> None:
        """More rows, in their order."""
        for problem in rows:
            if isinstance(problem, RowProblem):
                self.problems.add(problem)
        for item in self._compared([row for row in rows if isinstance(row, Item)]):
            self.totals.add(item)
            self._spool.add(item)
            self.restricted |= item.study.data_class == "restricted"
            if self.examples is not None:
                self.examples.add(item)

    def _compared(self, items: Sequence[Item]) -> Iterator[Item]:
        """The rows, with a doubt on each for which a row before it says the same before another reference."""
        traces = {
            number: (str(number), item.study.id, item.measured.steps, item.measured.report)
            for number, item in enumerate(items, self.totals.rows + 1)
            if item.measured is not None and item.verdict.outcome != "reject"
        }
        found = self._templates.add_all([*traces.values()]) if traces else []
        twins = {number for number, twin in zip(traces, found, strict=True) if twin is not None}
        for number, item in enumerate(items, self.totals.rows + 1):
            yield item._replace(verdict=marked(item.verdict, True)) if number in twins else item

    def settle(self) -> None:
        """Give the early rows of a template their doubt, once all rows are there."""
        early = {int(twin.key) for twin in self._templates.twins()}
        for was_accepted in self._spool.settle(early):
            self.totals.add_template(was_accepted=was_accepted)
        if self.examples is not None:
            self.examples.settle(early)

    @property
    def groups(self) -> crosstab.Counts:
        """How many rows of each split, view, layout and finding have which outcome."""
        return self._spool.counts()

    @property
    def rows(self) -> Iterator[dict[str, Any]]:
        """Every audited row: id, accepted, findings."""
        return iter(self._spool)

    def to_pandas(self) -> "DataFrame":
        """One row an audited row: id, outcome, accepted, the codes, and all findings."""
        import pandas as pd

        rows = [{**row, "codes": list(dict.fromkeys(found["code"] for found in row["findings"]))} for row in self.rows]
        return pd.DataFrame(rows, columns=["id", "outcome", "accepted", "codes", "findings"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        notes = self.problems.lines
        totals = self.totals
        if note := Count(totals.rows, totals.code_rows[CODE]).note:
            notes.append(note)
        if totals.without_reference:
            notes.append(
                f"{totals.without_reference} of {totals.rows} rows have no reference_report: they were judged "
                "against their own report, and whether that is verbatim was not checked"
            )
        if totals.without_report:
            notes.append(
                f"{totals.without_report} of {totals.rows} rows have neither a reference_report nor a report of their "
                "own, so nothing says what the film shows; name one with --columns, if there is one"
            )
        if len(totals.layouts) > 1:
            mixed = ", ".join(f"{layout} {n}" for layout, n in totals.layouts.most_common())
            rare = totals.layouts.most_common()[-1][0]
            named = ", ".join(totals.layout_ids[rare])
            notes.append(
                f"the traces are written in several layouts ({mixed}); a training set wants one. In {rare}: {named}"
            )
        if totals.escaped:
            notes.append(
                f"{totals.escaped} traces are markdown-escaped; they were read, and should not be trained on so"
            )
        return tuple(notes)

    def summary(self) -> dict[str, Any]:
        """`as_dict` without the rows."""
        return {
            "rows": self.totals.rows,
            "accepted": self.totals.accepted,
            "codes": dict(self.totals.codes.most_common()),
            **self.totals.as_dict(),
            "by": crosstab.as_dict(self.groups),
            **self.problems.as_dict(),
            **({"probe": self.probe} if self.probe else {}),
        }

    def as_dict(self) -> dict[str, Any]:
        """The contract of `tenstep audit --json`: rows, accepted, codes, items; and what the page draws."""
        return self.summary() | {"items": list(self.rows)}

    def json(self) -> Iterator[str]:
        """The same in pieces, for a file."""
        yield json.dumps(self.summary(), ensure_ascii=False, indent=1)[:-2] + ',\n "items": ['
        for at, row in enumerate(self.rows):
            yield (",\n  " if at else "\n  ") + json.dumps(row, ensure_ascii=False)
        yield "\n ]\n}\n"

    def close(self) -> None:
        """Forget the verdicts."""
        self._spool.close()
        self._templates.close()

    def __enter__(self) -> "Audit":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _probe_of(path: Path) -> dict[str, Any] | None:
    """What `tenstep probe` found of a run, if it was asked."""
    file = path / "probe" / "probe.json"
    if not is_run(path) or not file.is_file():
        return None
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError("cannot be read; run `tenstep probe` again, or remove it", file=file) from None
    return found if isinstance(found, dict) else None


def audit(
    path: Path,
    examples: Examples | None = None,
    on_row: Callable[[Audit], None] = lambda found: None,
    *,
    reader: Reader = AS_IT_IS,
    executor: Executor = THIS_PROCESS,
) -> Audit:
    """Audit a file, a folder, a saved dataset, a study store's traces or a run.

    Args:
        path: see data/foreign.py for what may lie there; a run folder is audited by its journal.
        examples: takes worked examples, for a page.
        on_row: called after every row, audited or not.
        reader: columns, layout and number of steps, where rows are not as ours.
        executor: judges (data/executor.py).

    Raises:
        InputError: there is nothing to audit at this path.
        MissingExtraError: reading it takes a library that is absent.
    """
    found = Audit(path, examples)
    try:
        _fill(found, on_row, reader, executor)
    except BaseException:
        found.close()
        raise
    return found


def _fill(found: Audit, on_row: Callable[[Audit], None], reader: Reader, executor: Executor) -> None:
    path = found.path
    left = items(path, reader, executor)
    while some := list(islice(left, _AT_ONCE)):
        found.add_all(some)
        for _ in some:
            on_row(found)
    found.settle()
    if not found.totals.rows and not found.problems:
        wanted = (
            "no study of this run has a verdict"
            if is_run(path)
            else "one JSON object a line is wanted, with id and text"
        )
        raise InputError(f"holds no rows; {wanted}", file=path)
