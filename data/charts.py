"""Charts as SVG: bars, stacked columns, a band, a heat map. Colours come from classes, so that a page's scheme decides.

Every chart has a title and says its numbers in text as well; what can be chosen carries `data-code`. Labels are escaped
here. It knows numbers and labels, and nothing of audits.
"""

import html
from collections.abc import Sequence
from typing import NamedTuple

WIDTH = 640
_LABEL, _NUMBER, _ROW = 214, 122, 25
_LEFT, _TOP, _BOTTOM = 40, 10, 22  # margins of the charts that have ten columns


class Bar(NamedTuple):
    """One line of a bar chart: parts are (class, value), drawn one after the other."""

    label: str
    parts: tuple[tuple[str, float], ...]
    said: str  # the numbers
    code: str | None = None  # what choosing it filters by
    hint: str = ""


def bars(title: str, lines: Sequence[Bar], whole: float) -> str:
    """Horizontal bars on a common scale from 0 to `whole`."""
    height = _ROW * len(lines) + 4
    room = WIDTH - _LABEL - _NUMBER
    drawn = []
    for at, line in enumerate(lines):
        y, x = at * _ROW + 4, float(_LABEL)
        rects = [f'<rect class="track" x="{_LABEL}" y="{y}" width="{room}" height="17" rx="2"/>']
        for kind, value in line.parts:
            width = room * value / whole if whole else 0
            if value:
                rects.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{max(width, 1):.1f}" height="17" rx="2"/>'
                )
            x += width
        label = f'<text class="label" x="{_LABEL - 10}" y="{y + 13}" text-anchor="end">{_cut(line.label, 31)}</text>'
        said = f'<text class="number" x="{WIDTH - _NUMBER + 10}" y="{y + 13}">{html.escape(line.said)}</text>'
        drawn.append(
            _group(f"{line.label}: {line.said}. {line.hint}", line.code) + "".join((*rects, label, said)) + "</g>"
        )
    return _svg(title, height, drawn)


def columns(title: str, stacks: Sequence[Sequence[tuple[str, float, str]]], *, top: float, unit: str) -> str:
    """Ten columns, each a stack of (class, value, hint); `top` is the value at the upper edge."""
    height = 132
    room, step = height - _TOP - _BOTTOM, (WIDTH - _LEFT) / len(stacks)
    drawn = [_axis(height, top, unit, len(stacks))]
    for at, stack in enumerate(stacks):
        y = float(height - _BOTTOM)
        for kind, value, hint in stack:
            size = room * value / top if top else 0
            y -= size
            if value:
                place = f'x="{_LEFT + (at + 0.14) * step:.1f}" y="{y:.1f}"'
                drawn.append(
                    f'<rect class="{kind}" {place} width="{step * 0.72:.1f}" height="{max(size, 0.8):.1f}">'
                    f"<title>{html.escape(hint)}</title></rect>"
                )
    return _svg(title, height, drawn)


def band(title: str, rows: Sequence[tuple[float, float, float]], *, top: float, unit: str) -> str:
    """A line through the middle values, within a band from the low to the high ones."""
    height = 132
    room, step = height - _TOP - _BOTTOM, (WIDTH - _LEFT) / len(rows)

    def place(at: int, value: float) -> str:
        return f"{_LEFT + (at + 0.5) * step:.1f},{height - _BOTTOM - (room * value / top if top else 0):.1f}"

    upper = [place(at, row[2]) for at, row in enumerate(rows)]
    lower = [place(at, row[0]) for at, row in enumerate(rows)]
    middle = [place(at, row[1]) for at, row in enumerate(rows)]
    dots = [
        f'<circle class="dot" cx="{point.split(",")[0]}" cy="{point.split(",")[1]}" r="3"><title>step {at}: '
        f"{row[1]:g} (from {row[0]:g} to {row[2]:g})</title></circle>"
        for at, (point, row) in enumerate(zip(middle, rows, strict=True), 1)
    ]
    shape = f'<polygon class="band" points="{" ".join(upper + lower[::-1])}"/>'
    line = f'<polyline class="line" points="{" ".join(middle)}"/>'
    return _svg(title, height, [_axis(height, top, unit, len(rows)), shape, line, *dots])


def heat(title: str, lines: Sequence[tuple[str, str, Sequence[int]]]) -> str:
    """A table of counts: (label, class, one count for each of the ten steps); the darker, the more."""
    most = max((count for _, _, counts in lines for count in counts), default=0) or 1
    step = (WIDTH - _LABEL) / 10
    heads = [
        f'<text class="tick" x="{_LABEL + (at + 0.5) * step:.1f}" y="12" text-anchor="middle">{at + 1}</text>'
        for at in range(10)
    ]
    drawn = []
    for at, (label, kind, counts) in enumerate(lines):
        y = 18 + at * _ROW
        cells = [f'<text class="label" x="{_LABEL - 10}" y="{y + 16}" text-anchor="end">{_cut(label, 31)}</text>']
        for column, count in enumerate(counts):
            x = _LABEL + column * step + 1
            share = 0.12 + 0.88 * count / most if count else 0
            cells.append(f'<rect class="track" x="{x:.1f}" y="{y}" width="{step - 2:.1f}" height="{_ROW - 2}"/>')
            if count:
                strong = " strong" if share > 0.55 else ""
                cells.append(
                    f'<rect class="{kind}" fill-opacity="{share:.2f}" x="{x:.1f}" y="{y}" width="{step - 2:.1f}" '
                    f'height="{_ROW - 2}"><title>{html.escape(label)}, step {column + 1}: {count:,}</title></rect>'
                    f'<text class="cell{strong}" x="{x + step / 2 - 1:.1f}" y="{y + 16}" text-anchor="middle">'
                    f"{_short(count)}</text>"
                )
        drawn.append(_group(label, label) + "".join(cells) + "</g>")
    return _svg(title, 20 + _ROW * len(lines), [*heads, *drawn])


def _axis(height: int, top: float, unit: str, count: int) -> str:
    step = (WIDTH - _LEFT) / count
    base = height - _BOTTOM
    ticks = [
        f'<text class="tick" x="{_LEFT + (at + 0.5) * step:.1f}" y="{height - 6}" text-anchor="middle">{at + 1}</text>'
        for at in range(count)
    ]
    half = (_TOP + base) / 2
    lines = [f'<line class="grid" x1="{_LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}"/>' for y in (_TOP, half, base)]
    marks = [
        f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{html.escape(_value(value, unit))}</text>'
        for y, value in ((_TOP, top), (half, top / 2), (base, 0))
    ]
    return "".join((*lines, *ticks, *marks))


def _value(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "%" else f"{value:g}"


def _short(count: int) -> str:
    return f"{count:,}" if count < 1_000 else f"{count / 1_000:.0f}k"


def _cut(text: str, length: int) -> str:
    return html.escape(text if len(text) <= length else text[: length - 1] + "…")


def _group(said: str, code: str | None) -> str:
    choose = "" if code is None else f' class="choice" tabindex="0" role="button" data-code="{html.escape(code)}"'
    return f"<g{choose}><title>{html.escape(said.strip())}</title>"


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="group" aria-label="{html.escape(title)}">{"".join(parts)}</svg>'


def rounded_up(value: float, *, share: bool = False) -> float:
    """A round number just above: the upper edge of a chart."""
    if value <= 0:
        return 0.1 if share else 1
    steps = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    if share:
        return next((edge for edge in steps if value <= edge), 1.0)
    size = 1.0
    while size < value:
        size *= 10
    return next(size / 10 * edge for edge in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size / 10 * edge >= value)
