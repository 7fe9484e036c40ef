"""Problems: rows that could not be read, or are odd, counted all and named as far as a reader gets.

A file of the wrong kind has one problem and not one for each line: rows with the same fault are named in one sentence.
Memory is bounded, whatever the number of rows.
"""

from collections import Counter

from ...schemas.base import Noun

NAMED = 1_000  # rows that are named one by one, for machines
_KINDS = 200  # kinds of faults that are counted one by one
_SENTENCES = 20


class RowProblem(Noun):
    """A row that has something wrong with it besides its trace."""

    row: int
    file: str | None = None
    id: str | None = None
    field: str | None = None
    message: str
    audited: bool = False

    @property
    def what(self) -> str:
        """What is wrong, without the place."""
        what = f"{self.field}: {self.message}" if self.field else self.message
        return f"{'is odd, and was audited' if self.audited else 'was not audited'}: {what}"

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.file}, row {self.row} {self.what}" if self.file else f"row {self.row} {self.what}"


class Problems:
    """Collects them."""

    def __init__(self) -> None:
        self.named: list[RowProblem] = []  # the first
        self.counts: Counter[bool] = Counter()  # by whether the row was audited
        self._kinds: dict[str, tuple[RowProblem, int]] = {}  # the first of each kind, and how many there are
        self._others = 0

    def add(self, problem: RowProblem) -> None:
        """One more."""
        self.counts[problem.audited] += 1
        if len(self.named) < NAMED:
            self.named.append(problem)
        kind = problem.what.partition(": line ")[0]
        if kind in self._kinds:
            first, count = self._kinds[kind]
            self._kinds[kind] = first, count + 1
        elif len(self._kinds) < _KINDS:
            self._kinds[kind] = problem, 1
        else:
            self._others += 1

    def __len__(self) -> int:
        return self.counts.total()

    @property
    def unread(self) -> int:
        """Rows that were not audited."""
        return self.counts[False]

    @property
    def lines(self) -> list[str]:
        """For people: one line for each kind of fault, with its first row."""
        shown = list(self._kinds.values())[:_SENTENCES]
        lines = [one.line + (f"; so are {count - 1:,} more rows" if count > 1 else "") for one, count in shown]
        left = len(self) - sum(count for _, count in shown)
        if left:
            lines.append(f"and {left:,} more rows with problems; --json names the first {NAMED:,}")
        return lines

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return {
            "unreadable": [one.model_dump(exclude={"audited"}) for one in self.named if not one.audited],
            "odd": [one.model_dump(exclude={"audited"}) for one in self.named if one.audited],
            "problem_rows": {"unreadable": self.counts[False], "odd": self.counts[True]},
        }
