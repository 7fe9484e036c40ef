"""Charts as SVG: bars, stacked columns, a band, a heat map, curves, and dots with intervals.

In a page, colours come from classes, so that the page's scheme decides. As a file (`file=True`, and always for curves
and dots) a chart brings its own colours, a white background and its title. Every chart says its numbers in text as
well; what can be chosen carries `data-code`. Labels are escaped here. It knows numbers and labels, not what they mean.
"""

import html
from collections.abc import Iterator, Sequence
from typing import NamedTuple

WIDTH = 640
_LABEL, _NUMBER, _ROW = 214, 122, 25
_LEFT, _TOP, _BOTTOM = 40, 10, 22  # margins of the charts that have ten columns
# Okabe and Ito's colours (2008), which the colour-blind can tell from each other, darkened for thin bars
_SERIES = ("#1f5fa8", "#c2570c", "#00785a", "#a3437f", "#6b6b00", "#333333", "#2a8fbd", "#8a2b0e")
_STYLE = (
    "svg.file text{font:13px system-ui,sans-serif;fill:#222}svg.file .title{font-size:17px;font-weight:600}"
    "svg.file .group{font-weight:600}svg.file .number,svg.file .tick{fill:#555}svg.file .grid{stroke:#ddd}"
    "svg.file .track{fill:#f0f0f0}svg.file .kept{fill:#1f5fa8}svg.file .removed{fill:#ccc}"
    "svg.file .curve{fill:none;stroke-width:2}svg.file .interval{stroke-width:2.5;stroke-linecap:round;opacity:.55}"
    + "".join(f"svg.file .series{at}{{fill:{colour};stroke:{colour}}}" for at, colour in enumerate(_SERIES))
)


class Bar(NamedTuple):
    """One line of a bar chart: parts are (class, value), drawn one after the other."""

    label: str
    parts: tuple[tuple[str, float], ...]
    said: str  # the numbers
    code: str | None = None  # what choosing it filters by
    hint: str = ""


class ChartValue(NamedTuple):
    """A value between 0 and 1, and its interval if there is one."""

    value: float
    low: float | None
    high: float | None


class Dots(NamedTuple):
    """One line of a chart of dots; lines of one group stand together under its name."""

    group: str
    label: str
    estimates: tuple[ChartValue | None, ...]  # one for each series; none where it has no such figure


def bars(title: str, lines: Sequence[Bar], whole: float, *, file: bool = False) -> str:
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
    return _file(title, "", [], height, drawn) if file else _svg(title, height, drawn)


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


def curves(title: str, names: Sequence[str], series: Sequence[Sequence[float]]) -> str:
    """Shares from 0 to 1 against 1, 2, 3...: one curve a name, all of the same length. A file."""
    height, left, n = 240, 60, max(map(len, series), default=0)
    room, wide = height - _TOP - _BOTTOM, WIDTH - left - 20

    def place(at: int, value: float) -> tuple[float, float]:
        return left + wide * (at - 1) / max(1, n - 1), height - _BOTTOM - room * value

    drawn = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = place(1, share)[1]
        drawn.append(f'<line class="grid" x1="{left}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="tick" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for at in sorted({1, n // 4, n // 2, 3 * n // 4, n} - {0}):
        x = place(at, 0)[0]
        drawn.append(f'<text class="tick" x="{x:.1f}" y="{height - 4}" text-anchor="middle">{at:,}</text>')
    for number, (name, values) in enumerate(zip(names, series, strict=True)):
        if values:
            points = " ".join("{:.1f},{:.1f}".format(*place(at, value)) for at, value in enumerate(values, 1))
            drawn.append(
                f'<polyline class="series{number} curve" points="{points}" style="fill:none">'
                f"<title>{html.escape(name)}: {values[-1]:.0%} at {len(values):,}</title></polyline>"
            )
    return _file(title, "", names, height, drawn)


def dots(title: str, subtitle: str, names: Sequence[str], lines: Sequence[Dots]) -> str:
    """A dot and its interval for each series, on a common scale from 0 to 1. A file.

    Args:
        title, subtitle: above it.
        names: of the series, in the order of each line's estimates; at most eight.
        lines: from top to bottom.
    """
    left, wide, row = 300, 420, 26
    step = max(row, 9 * len(names) + 8)
    groups = list(dict.fromkeys(line.group for line in lines))
    height = step * len(lines) + row * len(groups) + 34
    drawn = []
    for tenth in range(0, 11, 2):
        x = left + wide * tenth / 10
        drawn.append(f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{height - 26}"/>')
        drawn.append(f'<text class="tick" x="{x}" y="{height - 10}" text-anchor="middle">{tenth / 10:.1f}</text>')
    y = 0
    for group in groups:
        drawn.append(f'<text class="group" x="16" y="{y + 17}">{html.escape(group)}</text>')
        y += row
        for line in (one for one in lines if one.group == group):
            drawn += _dots(line, left, wide, y, step)
            y += step
    return _file(title, subtitle, names, height, drawn, width=left + wide + max(150, 52 * len(names) + 30))


def _dots(line: Dots, left: int, wide: int, y: int, step: int) -> Iterator[str]:
    def x(value: float) -> float:
        return round(left + wide * min(1.0, max(0.0, value)), 1)

    text = y + step // 2 + 4
    yield f'<text class="label" x="{left - 12}" y="{text}" text-anchor="end">{_cut(line.label, 42)}</text>'
    for at, one in enumerate(line.estimates):
        if one is None:
            continue
        middle = y + step / 2 + (at - (len(line.estimates) - 1) / 2) * 8
        if one.low is not None and one.high is not None:
            place = f'x1="{x(one.low)}" x2="{x(one.high)}" y1="{middle}" y2="{middle}"'
            yield f'<line class="series{at} interval" {place}/>'
        yield f'<circle class="series{at}" cx="{x(one.value)}" cy="{middle}" r="4"/>'
    values = "  ".join(f"{one.value:.3f}" if one else "-" for one in line.estimates)
    yield f'<text x="{left + wide + 14}" y="{text}">{values}</text>'


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


def _file(
    title: str, subtitle: str, names: Sequence[str], height: int, parts: Sequence[str], *, width: int = WIDTH
) -> str:
    """A chart that stands alone: its colours, its title, and which colour is whose, above what is drawn."""
    head = [f'<text class="title" x="16" y="26">{html.escape(title)}</text>']
    top = 40
    if subtitle:
        head.append(f'<text class="tick" x="16" y="46">{html.escape(subtitle)}</text>')
        top += 16
    for at, name in enumerate(names):
        x, y = 16 + at % 2 * 310, top + 10 + at // 2 * 20
        head.append(f'<circle class="series{at}" cx="{x + 5}" cy="{y - 5}" r="5"/>')
        head.append(f'<text x="{x + 16}" y="{y}">{_cut(name, 40)}</text>')
    top += 20 * -(-len(names) // 2)
    size = f'viewBox="0 0 {width} {top + height}" width="{width}" height="{top + height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="file" {size} role="img" aria-label="{html.escape(title)}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(head)}'
        f'<g transform="translate(0 {top})">{"".join(parts)}</g></svg>\n'
    )


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
