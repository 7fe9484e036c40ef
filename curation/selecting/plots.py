"""Two plots of a selection as SVG files: findings and coverage against n, and what each stage removed."""

import html
from collections.abc import Sequence

from ...schemas.selection import Selection

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 300, 60, 20, 40, 40
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.axis{stroke:#999}.grid{stroke:#ddd}.a{stroke:#1f6fb2;fill:none;"
    "stroke-width:2}.b{stroke:#c2571a;fill:none;stroke-width:2}.kept{fill:#1f6fb2}.gone{fill:#d9d9d9}"
    ".title{font-weight:600}"
)


def coverage(selection: Selection, curve: Sequence[float]) -> str:
    """Share of the pool's findings among the first n rows, and likeness of the pool to the nearest of them."""
    pool = {group for group in selection.pool if group.startswith("finding:")}
    seen: set[str] = set()
    shares = []
    for row in selection.rows:
        seen.update(group for group in row.groups if group in pool)
        shares.append(len(seen) / len(pool) if pool else 1.0)
    n = len(selection.rows)
    marks = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(v):.1f}" y2="{_y(v):.1f}"/>'
        f'<text x="{_LEFT - 8}" y="{_y(v) + 4:.1f}" text-anchor="end">{v:.0%}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    ]
    marks += [
        f'<text x="{_x(at, n):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{at}</text>'
        for at in sorted({1, n // 4, n // 2, 3 * n // 4, n} - {0})
    ]
    lines = [
        f'<polyline class="{kind}" points="{_points(values)}"><title>{title}: {values[-1]:.0%}</title></polyline>'
        for kind, values, title in (("a", shares, "findings of the pool"), ("b", curve, "likeness of the pool"))
    ]
    said = f"By number of rows: findings of the pool among them (blue, of {len(pool)}), likeness of the pool (orange)"
    return _svg(said, _HEIGHT, [*marks, *lines])


def stages(selection: Selection) -> str:
    """What each stage kept and removed."""
    most = max((stage.before for stage in selection.stages), default=0) or 1
    room, drawn = _WIDTH - 270, []
    for at, stage in enumerate(selection.stages):
        y = _TOP + at * 28
        why = "; ".join(f"{reason} {n:,}" for reason, n in stage.removed.items())
        drawn.append(
            f"<g><title>{html.escape(why or 'nothing removed')}</title>"
            f'<text x="120" y="{y + 14}" text-anchor="end">{html.escape(stage.name)}</text>'
            f'<rect class="gone" x="130" y="{y}" width="{room * stage.before / most:.1f}" height="18"/>'
            f'<rect class="kept" x="130" y="{y}" width="{room * stage.after / most:.1f}" height="18"/>'
            f'<text x="{room + 138}" y="{y + 14}">{stage.before:,} to {stage.after:,}</text></g>'
        )
    return _svg("What each stage kept and removed", _TOP + 28 * len(selection.stages) + 10, drawn)


def _x(at: int, n: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at - 1) / max(1, n - 1)


def _y(value: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value


def _points(values: Sequence[float]) -> str:
    return " ".join(f"{_x(at, len(values)):.1f},{_y(value):.1f}" for at, value in enumerate(values, 1))


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    said = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{said}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
        f'<text class="title" x="10" y="20">{said}</text>{"".join(parts)}</svg>\n'
    )
