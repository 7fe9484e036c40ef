"""An ablation as files: ablation.json, ablation.md, and ablation.html with its plot. It computes nothing."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from ...data.charts import ChartValue, Dots, dots
from ...data.files import replace_text
from ..markdown import table
from .ablation import Ablation
from .comparison import ArmFigure, FigureRow, Paired

_PAGE = Path(__file__).parent / "page.html"


class Grid(NamedTuple):
    """A table of texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write(ablation: Ablation, out: Path) -> list[Path]:
    """Write the files, each whole.

    Returns:
        the files.
    """
    texts = {
        "ablation.json": ablation.model_dump_json(indent=2) + "\n",
        "ablation.md": as_markdown(ablation),
        "ablation.html": as_html(ablation),
    }
    for name, text in texts.items():
        replace_text(out / name, text)
    return [out / name for name in texts]


def figures(ablation: Ablation, *, short: bool = False) -> Grid:
    """Figures of every arm, with their intervals; in short, those over all and the findings that the steps assert."""
    rows = tuple(
        (row.figure, *(_value(row.arms.get(arm)) for arm in ablation.arms)) for row in _chosen(ablation, short)
    )
    return Grid("figures, with 95 % intervals by patient", ("figure", *ablation.arms), rows)


def paired(ablation: Ablation, *, short: bool = False) -> Grid:
    """Every arm against the first, study by study; in short as above."""
    rows = tuple(
        (row.figure, arm, _difference(pair), f"{pair.p:.4f}", _counts(pair), _each(pair.mcnemar, "{:.4f}"))
        for row in _chosen(ablation, short)
        for arm, pair in row.against_first.items()
    )
    columns = ("figure", "arm", "difference", "p", "only this arm / only the first", "McNemar's p, by seed")
    return Grid(f"against {ablation.arms[0]}, paired by study", columns, rows)


def case_mix(ablation: Ablation) -> Grid:
    """What the arms were trained on, by the findings of the references."""
    sides = ("all", *ablation.arms)
    rows = [(label, *(f"{shares.get(side, 0):.3f}" for side in sides)) for label, shares in ablation.case_mix.items()]
    rows.append(("rows that repeat", "", *(str(ablation.repeated[arm]) for arm in ablation.arms)))
    return Grid("case mix: share of rows whose reference has the finding", ("finding", *sides), tuple(rows))


def summary(ablation: Ablation) -> str:
    """What was compared, in a line."""
    return (
        f"{len(ablation.arms)} arms, each with {ablation.n:,} rows, {ablation.steps:,} steps and "
        f"{len(ablation.seeds)} seed(s), from one base; compared on {ablation.studies:,} unseen studies of "
        f"{ablation.patients:,} patients"
    )


def as_markdown(ablation: Ablation) -> str:
    """For a paper or a model card."""
    lines = [f"# {ablation.name}", "", f"{summary(ablation)}.", ""]
    for grid in (figures(ablation), paired(ablation), case_mix(ablation)):
        lines += [f"## {grid.title}", "", *table(grid.columns, grid.rows), ""]
    return "\n".join([*lines, *(f"- {note}" for note in ablation.notes)]) + "\n"


def as_html(ablation: Ablation) -> str:
    """The page; it needs no other file and asks no server for anything."""
    return Template(_PAGE.read_text("utf-8")).substitute(
        title=escape(f"Ablation: {ablation.name}"),
        summary=escape(summary(ablation) + "."),
        plot=_plot(ablation),
        figures=_table(figures(ablation)),
        paired=_table(paired(ablation)),
        case_mix=_table(case_mix(ablation)),
        notes="".join(f"<li>{escape(note)}</li>" for note in ablation.notes),
    )


def _chosen(ablation: Ablation, short: bool) -> list[FigureRow]:
    return [row for row in ablation.rows if not short or ", " not in row.figure or row.figure.endswith("seen, steps")]


def _plot(ablation: Ablation) -> str:
    lines = [
        Dots(
            _group(row.figure),
            row.figure,
            tuple(
                ChartValue(found.value, found.low, found.high) if (found := row.arms.get(arm)) else None
                for arm in ablation.arms
            ),
        )
        for row in ablation.rows
    ]
    return dots("Arms side by side", "dots: all seeds; bars: 95 %, by patient", ablation.arms, lines)


def _group(figure: str) -> str:
    part = figure.rpartition(", ")[2]
    return f"findings in {part}" if part in ("steps", "report") else "answers"


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in grid.columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in grid.rows)
    return f"<table><caption>{escape(grid.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _value(found: ArmFigure | None) -> str:
    if found is None:
        return "-"
    return f"{found.value:.3f}" + _bounds(found.low, found.high, "{:.3f}")


def _difference(pair: Paired) -> str:
    return f"{pair.difference:+.3f}" + _bounds(pair.low, pair.high, "{:+.3f}")


def _bounds(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f" ({form.format(low)} to {form.format(high)})"


def _counts(pair: Paired) -> str:
    return ", ".join(f"{better} / {worse}" for better, worse in zip(pair.better, pair.worse, strict=True)) or "-"


def _each(values: Sequence[float], form: str) -> str:
    return ", ".join(map(form.format, values)) or "-"
