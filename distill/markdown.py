"""Tables in Markdown: for cards, and for the files of evaluations and ablations."""

from collections.abc import Iterable, Mapping, Sequence


def row(cells: Iterable[object]) -> str:
    """One line of a table; bars and line breaks within a cell do not end it."""
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """A table's lines."""
    return [row(columns), row(["---"] * len(columns)), *map(row, rows)]


def facts(named: Mapping[str, object]) -> list[str]:
    """Names and values, without heads, and the empty line behind them."""
    return ["| | |", "| --- | --- |", *map(row, named.items()), ""]
