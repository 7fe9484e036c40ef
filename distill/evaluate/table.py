"""An evaluation as files. It computes nothing.

evaluation.json  every figure with interval and implementation, and the notes
metrics.csv      a row a figure
metrics.md       the same as a table
metrics.svg      the figures, plotted with their intervals
labels.svg       sensitivity and specificity by label
"""

import csv
import io
from pathlib import Path

from ...data.charts import ChartValue, Dots, dots
from ...data.evaluations import FILE, cells, chosen, columns, described
from ...schemas.errors import InputError
from ...schemas.evaluation import Evaluation
from ..markdown import table
from .labels import SENSITIVITY, SPECIFICITY

_COLUMNS = (
    "part",
    "metric",
    "student",
    "value",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "implementation",
    "version",
    "preprocessing",
)


def check_out(out: Path) -> None:
    """Before anything is measured: a folder that holds files and no evaluation must not be written into.

    Raises:
        InputError: it is, or it is no folder.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / FILE).is_file())):
        raise InputError("is not empty and holds no evaluation; choose another --out", file=out)


def write(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write the files; those of an earlier evaluation are replaced.

    Returns:
        the files.
    """
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        FILE: evaluation.model_dump_json(indent=2) + "\n",
        "metrics.csv": as_csv(evaluation),
        "metrics.md": as_markdown(evaluation),
        "metrics.svg": _svg(evaluation, labels=False),
        "labels.svg": _svg(evaluation, labels=True),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return [out / name for name in texts]


def as_csv(evaluation: Evaluation) -> str:
    """A line for each figure and student, unrounded; the difference is that of the first student to this one."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for figure in evaluation.figures:
        common = figure.model_dump(exclude={"value", "low", "high", "others"})
        own = {"student": evaluation.student.name, "value": figure.value, "low": figure.low, "high": figure.high}
        writer.writerow(common | own)
        for other, found in zip(evaluation.others, figure.others, strict=True):
            writer.writerow(common | {"student": other.name, **found.model_dump()})
    return stream.getvalue()


def as_markdown(evaluation: Evaluation) -> str:
    """Tables for a paper: figures over all labels first, then label by label."""
    names = " and ".join(other.name for other in evaluation.others)
    lines = [f"# {evaluation.student.name}" + (f" against {names}" if names else ""), "", described(evaluation), ""]
    for title, by_label in (("", False), ("## By label", True)):
        lines += [title, ""] if title else []
        lines += [*markdown_table(evaluation, by_label=by_label), ""]
    lines += [f"- {note}" for note in evaluation.notes]
    return "\n".join(lines).rstrip() + "\n"


def markdown_table(evaluation: Evaluation, *, by_label: bool = False) -> list[str]:
    """Figures over all labels, or of each label, as lines of Markdown."""
    heads = [*columns(evaluation), "implementation"]
    found = chosen(evaluation, by_label=by_label)
    hows = (f"{figure.implementation} {figure.version}: {figure.preprocessing}" for figure in found)
    return table(heads, ([*cells(figure), how] for figure, how in zip(found, hows, strict=True)))


def table_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """The figures over all labels, for the terminal."""
    return [
        (*cells(figure), f"{figure.implementation} {figure.version}") for figure in chosen(evaluation, by_label=False)
    ]


def preprocessings(evaluation: Evaluation) -> list[str]:
    """What each implementation did to the texts, each once."""
    figures = evaluation.figures
    return list(dict.fromkeys(f"{figure.implementation}: {figure.preprocessing}" for figure in figures))


def _svg(evaluation: Evaluation, *, labels: bool) -> str:
    names = [*(other.name for other in evaluation.others), evaluation.student.name]
    lines = [
        Dots(
            figure.part,
            figure.metric if labels else f"{figure.metric} ({figure.implementation})",
            tuple(ChartValue(found.value, found.low, found.high) for found in figure.each),
        )
        for figure in chosen(evaluation, by_label=labels)
        if not figure.metric.endswith((SENSITIVITY, SPECIFICITY))
    ]
    title = "F1 by label" if labels else "Metrics"
    about = f"{evaluation.pairs:,} answers for {evaluation.patients:,} patients; bars: 95 %"
    return dots(title, about, names, lines)
