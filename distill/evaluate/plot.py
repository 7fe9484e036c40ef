"""Figures with their intervals as one SVG: a dot and a bar on a scale from 0 to 1, a row a metric. No library."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

# Okabe and Ito's colours (2008), which the colour-blind can tell from each other, darkened for thin bars
_COLOURS = ("#1f5fa8", "#c2570c", "#00785a", "#a3437f", "#6b6b00", "#333333", "#2a8fbd", "#8a2b0e")
_LEFT, _WIDTH, _RIGHT = 300, 420, 150
_ROW, _TOP = 26, 78
_FONT = "font-family='system-ui, sans-serif'"


class Mark(NamedTuple):
    """A value and its interval."""

    value: float
    low: float | None
    high: float | None


class Row(NamedTuple):
    """What one line of the plot shows; rows of one group stand together under its name."""

    group: str
    name: str
    marks: tuple[Mark | None, ...]  # none where a student has no such figure


def plot(title: str, subtitle: str, names: Sequence[str], rows: Sequence[Row]) -> str:
    """The plot.

    Args:
        title, subtitle: above it.
        names: of the students, in the order of each row's marks; at most eight.
        rows: from top to bottom.
    """
    groups = list(dict.fromkeys(row.group for row in rows))
    step = max(_ROW, 9 * len(names) + 8)
    top = _TOP + 20 * ((len(names) - 1) // 3)
    height = top + step * len(rows) + _ROW * len(groups) + 34
    width = _LEFT + _WIDTH + max(_RIGHT, 52 * len(names) + 30)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' "
        f"role='img' aria-label='{escape(title, quote=True)}' {_FONT} font-size='13' fill='#222'>",
        f"<rect width='{width}' height='{height}' fill='#fff'/>",
        f"<text x='16' y='26' font-size='17' font-weight='600'>{escape(title)}</text>",
        f"<text x='16' y='46' fill='#555'>{escape(subtitle)}</text>",
        *_legend(names),
        *_grid(top, height),
    ]
    y = top
    for group in groups:
        parts.append(f"<text x='16' y='{y + 17}' font-weight='600'>{escape(group)}</text>")
        y += _ROW
        for row in (one for one in rows if one.group == group):
            parts += _row(row, y, step)
            y += step
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(value: float) -> float:
    return round(_LEFT + _WIDTH * min(1.0, max(0.0, value)), 1)


def _legend(names: Sequence[str]) -> Iterator[str]:
    for at, name in enumerate(names):
        x, y = 16 + at % 3 * 220, 66 + at // 3 * 20
        yield f"<circle cx='{x + 5}' cy='{y - 5}' r='5' fill='{_COLOURS[at]}'/>"
        yield f"<text x='{x + 16}' y='{y}'>{escape(_short(name, 28))}</text>"


def _grid(top: int, height: int) -> Iterator[str]:
    for tenth in range(0, 11, 2):
        x = _x(tenth / 10)
        yield f"<line x1='{x}' x2='{x}' y1='{top}' y2='{height - 26}' stroke='#ddd'/>"
        yield f"<text x='{x}' y='{height - 10}' text-anchor='middle' fill='#555'>{tenth / 10:.1f}</text>"


def _row(row: Row, y: int, step: int) -> Iterator[str]:
    yield f"<text x='{_LEFT - 12}' y='{y + step // 2 + 4}' text-anchor='end'>{escape(_short(row.name, 42))}</text>"
    for at, mark in enumerate(row.marks):
        if mark is None:
            continue
        middle = y + step / 2 + (at - (len(row.marks) - 1) / 2) * 8
        colour = _COLOURS[at]
        if mark.low is not None and mark.high is not None:
            yield (
                f"<line x1='{_x(mark.low)}' x2='{_x(mark.high)}' y1='{middle}' y2='{middle}' stroke='{colour}' "
                "stroke-width='2.5' stroke-linecap='round' opacity='0.55'/>"
            )
        yield f"<circle cx='{_x(mark.value)}' cy='{middle}' r='4' fill='{colour}'/>"
    values = "  ".join(f"{mark.value:.3f}" if mark else "-" for mark in row.marks)
    yield f"<text x='{_LEFT + _WIDTH + 14}' y='{y + step // 2 + 4}'>{values}</text>"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
