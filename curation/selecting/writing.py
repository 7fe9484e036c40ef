"""A selection's folder.

selection.json   what was chosen, and why; the parameters and counts
removed.jsonl    every example that was not chosen: at which stage, and why
coverage.svg     how well the chosen examples cover the pool, as their number grows
stages.svg       how many examples each stage left
baselines/       a selection of the same size for each baseline: random, hard-random, domain
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...data.charts import Bar, bars, curves
from ...data.files import new_folder, readable_by, replace_text, replacing
from ...data.selection import FILE
from ...schemas.selection import Method, Selection
from .stages import Funnel


def write(
    out: Path,
    selection: Selection,
    baselines: Mapping[Method, Selection],
    funnel: Funnel,
    curve: Sequence[float],
    *,
    private: bool,
) -> None:
    """Write everything; selection.json last, so that a folder that holds one is whole.

    Args:
        out: the folder.
        selection: what was chosen.
        baselines: selections of the same size.
        funnel: what left, and where.
        curve: coverage after each choice.
        private: only its owner may read it.
    """
    with readable_by(owner_only=private), new_folder(out):
        for method, baseline in baselines.items():
            folder = out / "baselines" / method
            folder.mkdir(parents=True, exist_ok=True)
            up = [run.model_copy(update={"path": _from_below(run.path)}) for run in baseline.runs]
            _write_json(folder, baseline.model_copy(update={"runs": tuple(up)}))
        with replacing(out / "removed.jsonl") as stream:
            for left in funnel.left:
                stream.write(json.dumps(left._asdict(), ensure_ascii=False) + "\n")
        replace_text(out / "coverage.svg", _coverage(selection, curve))
        replace_text(out / "stages.svg", _stages(selection))
        _write_json(out, selection)


def _write_json(folder: Path, selection: Selection) -> None:
    replace_text(folder / FILE, selection.model_dump_json(indent=1) + "\n")


def _from_below(path: str) -> str:
    return path if Path(path).is_absolute() else f"../../{path}"


def _coverage(selection: Selection, curve: Sequence[float]) -> str:
    """Share of the pool's findings among the first n rows, and likeness of the pool to the nearest of them."""
    pool = {group for group in selection.pool if group.startswith("finding:")}
    seen: set[str] = set()
    shares = []
    for row in selection.rows:
        seen.update(group for group in row.groups if group in pool)
        shares.append(len(seen) / len(pool) if pool else 1.0)
    names = (f"findings of the pool ({len(pool)})", "likeness of the pool")
    return curves("What the first n rows cover", names, (shares, curve))


def _stages(selection: Selection) -> str:
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
