"""Two plots of a selection as SVG files: findings and coverage against n, and what each stage removed."""

from collections.abc import Sequence

from ...data.charts import Bar, bars, curves
from ...schemas.selection import Selection


def coverage(selection: Selection, curve: Sequence[float]) -> str:
    """Share of the pool's findings among the first n rows, and likeness of the pool to the nearest of them."""
    pool = {group for group in selection.pool if group.startswith("finding:")}
    seen: set[str] = set()
    shares = []
    for row in selection.rows:
        seen.update(group for group in row.groups if group in pool)
        shares.append(len(seen) / len(pool) if pool else 1.0)
    names = (f"findings of the pool ({len(pool)})", "likeness of the pool")
    return curves("What the first n rows cover", names, (shares, curve))


def stages(selection: Selection) -> str:
    """What each stage kept and removed."""
    lines = [
        Bar(
            stage.name,
            (("kept", stage.after), ("removed", stage.before - stage.after)),
            f"{stage.before:,} to {stage.after:,}",
            hint="; ".join(f"{reason} {n:,}" for reason, n in stage.removed.items()) or "nothing removed",
        )
        for stage in selection.stages
    ]
    whole = max((stage.before for stage in selection.stages), default=0)
    return bars("What each stage kept and removed", lines, whole, file=True)
