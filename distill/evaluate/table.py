"""An evaluation as files: evaluation.json, metrics.csv, metrics.md, metrics.svg and labels.svg. It computes nothing."""

import csv
import io
from pathlib import Path

from ...data.charts import Dots, Estimate, dots
from ...schemas.errors import InputError
from .evaluation import Evaluation, Figure
from .labels import SENSITIVITY, SPECIFICITY

_COLUMNS = (
    "part",
    "metric",
    "value",
    "low",
    "high",
    "other",
    "other_low",
    "other_high",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "implementation",
    "version",
    "preprocessing",
)


def check_out(out: Path) -> None:
    """Before anything is measured: a folder that holds files, and no evaluation, is somebody else's.

    Raises:
        InputError: it is, or it is no folder.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "evaluation.json").is_file())):
        raise InputError("is not empty and holds no evaluation; choose another --out", file=out)


def write(evaluation: Evaluation, out: Path) -> list[Path]:
    """Write the files; those of an earlier evaluation are replaced.

    Returns:
        the files.
    """
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        "evaluation.json": evaluation.model_dump_json(indent=2) + "\n",
        "metrics.csv": as_csv(evaluation),
        "metrics.md": as_markdown(evaluation),
        "metrics.svg": _svg(evaluation, labels=False),
        "labels.svg": _svg(evaluation, labels=True),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return [out / name for name in texts]


def as_csv(evaluation: Evaluation) -> str:
    """One line a figure, unrounded."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(figure.model_dump() for figure in evaluation.figures)
    return stream.getvalue()


def as_markdown(evaluation: Evaluation) -> str:
    """A table for a paper or a model card: figures over all labels first, then label by label."""
    other = evaluation.other
    columns = ["part", "metric", evaluation.student.name]
    columns += [] if other is None else [other.name, "difference", "p"]
    columns.append("implementation")
    lines = [f"# {evaluation.student.name}" + ("" if other is None else f" against {other.name}"), ""]
    lines += [f"{evaluation.pairs:,} answers of {evaluation.patients:,} patients. {_how(evaluation)}", ""]
    for title, some in (("", _over_all(evaluation)), ("## By label", _by_label(evaluation))):
        lines += [title, ""] if title else []
        lines += [_line(columns), _line(["---"] * len(columns))]
        lines += [_line(_cells(figure, compared=other is not None)) for figure in some]
        lines.append("")
    lines += [f"- {note}" for note in evaluation.notes]
    return "\n".join(lines).rstrip() + "\n"


def table_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """The figures over all labels, for the terminal."""
    compared = evaluation.other is not None
    return [
        (*_cells(figure, compared=compared)[:-1], f"{figure.implementation} {figure.version}")
        for figure in _over_all(evaluation)
    ]


def preprocessings(evaluation: Evaluation) -> list[str]:
    """What each implementation did to the texts, each once."""
    figures = evaluation.figures
    return list(dict.fromkeys(f"{figure.implementation}: {figure.preprocessing}" for figure in figures))


def _how(evaluation: Evaluation) -> str:
    described = f"Intervals of 95 %: bootstrap of patients, {evaluation.resamples:,} draws, seed {evaluation.seed}."
    if evaluation.other is not None:
        described += " p: approximate randomisation by patient, two-sided."
    return described


def _over_all(evaluation: Evaluation) -> list[Figure]:
    return [figure for figure in evaluation.figures if figure.label is None]


def _by_label(evaluation: Evaluation) -> list[Figure]:
    return [figure for figure in evaluation.figures if figure.label is not None]


def _cells(figure: Figure, *, compared: bool) -> list[str]:
    cells = [figure.part, figure.metric, _number(figure.value, figure.low, figure.high)]
    if compared:
        assert figure.other is not None and figure.difference is not None and figure.p is not None
        cells.append(_number(figure.other, figure.other_low, figure.other_high))
        cells += [_difference(figure), f"{figure.p:.4f}"]
    return [*cells, f"{figure.implementation} {figure.version}: {figure.preprocessing}"]


def _difference(figure: Figure) -> str:
    low, high = figure.difference_low, figure.difference_high
    return f"{figure.difference:+.3f}" + ("" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})")


def _number(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _svg(evaluation: Evaluation, *, labels: bool) -> str:
    chosen = _by_label(evaluation) if labels else _over_all(evaluation)
    chosen = [figure for figure in chosen if not figure.metric.endswith((SENSITIVITY, SPECIFICITY))]
    names = [evaluation.student.name] + ([evaluation.other.name] if evaluation.other is not None else [])
    lines = []
    for figure in chosen:
        estimates = [Estimate(figure.value, figure.low, figure.high)]
        if figure.other is not None:
            estimates.append(Estimate(figure.other, figure.other_low, figure.other_high))
        how = "" if labels else f" ({figure.implementation})"
        lines.append(Dots(figure.part, f"{figure.metric}{how}", tuple(estimates)))
    title = "F1 by label" if labels else "Metrics"
    return dots(title, f"{evaluation.pairs:,} answers of {evaluation.patients:,} patients; bars: 95 %", names, lines)
