"""`tenstep ingest`, and the progress bar that every room uses."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a command tells its user while it works."""

    def advance(
        self, n: int = 1, *, accepted: int | None = None, rejected: int | None = None, spend_usd: float | None = None
    ) -> None:
        """`n` more are done; totals so far, where they are known."""
        ...


class _Silent:
    def advance(
        self, n: int = 1, *, accepted: int | None = None, rejected: int | None = None, spend_usd: float | None = None
    ) -> None:
        """Nothing: nobody is watching."""


@contextmanager
def progress(total: int | None, label: str) -> Iterator[Progress]:
    """A bar with rate, accepted and rejected, spend and time left, on stderr if that is a terminal; else nothing.

    Args:
        total: how many there will be, if known.
        label: what is being done, e.g. "ingest".
    """
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(compact=True),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, told="")

        class Told:
            def advance(
                self,
                n: int = 1,
                *,
                accepted: int | None = None,
                rejected: int | None = None,
                spend_usd: float | None = None,
            ) -> None:
                bar.advance(task, n)
                speed = bar.tasks[task].speed
                parts = (
                    (speed, f"{speed or 0:.1f}/s"),
                    (accepted, f"[green]{accepted} accepted[/green]"),
                    (rejected, f"[red]{rejected} rejected[/red]"),
                    (spend_usd, f"${spend_usd or 0:.2f}"),
                )
                bar.update(task, told="  ".join(text for value, text in parts if value is not None))

        yield Told()
