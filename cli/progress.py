"""The progress bar of every command: on a terminal only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict, Unpack

from .output import printable


class ProgressFields(TypedDict, total=False):
    """What a bar shows besides how far the work is: totals so far, where they are known."""

    accepted: int | None
    doubted: int | None
    rejected: int | None
    spend_usd: float | None
    total: int | None  # how many there will be, if that is known only now


class Progress:
    """What a command reports while it works. This one shows nothing: standard error is no terminal."""

    def __init__(self) -> None:
        self.done = 0  # by `reach`

    def advance(self, n: int = 1, **fields: Unpack[ProgressFields]) -> None:
        """`n` more are done."""

    def reach(self, done: int, total: int) -> None:
        """So many of so many are done; for work that counts from its start."""
        self.advance(done - self.done, total=total)
        self.done = done


@contextmanager
def progress(total: int | None, label: str) -> Iterator[Progress]:
    """A bar with rate, accepted and rejected, spend and time left, on stderr if that is a terminal; else nothing.

    Args:
        total: how many there will be, if known.
        label: what is being done, e.g. "ingest".
    """
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(total or "")) + 1)),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(compact=True),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(printable(label), total=total, counts="")

        class Shown(Progress):
            def advance(self, n: int = 1, **fields: Unpack[ProgressFields]) -> None:
                if fields.get("total") is not None:
                    bar.update(task, total=fields["total"])
                bar.advance(task, n)
                speed, spend_usd = bar.tasks[task].speed, fields.get("spend_usd")
                accepted, doubted, rejected = (fields.get(name) for name in ("accepted", "doubted", "rejected"))
                parts = (
                    (speed, f"{speed or 0:.1f}/s"),
                    (accepted, f"[green]{accepted} accepted[/green]"),
                    (doubted, f"[magenta]{doubted} in doubt[/magenta]"),
                    (rejected, f"[red]{rejected} rejected[/red]"),
                    (spend_usd, f"${spend_usd or 0:.2f}"),
                )
                bar.update(task, counts="  ".join(text for value, text in parts if value is not None))

        yield Shown()
