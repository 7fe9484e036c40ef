"""An evaluation's file and its table: for model cards, for the run's pages, and for files of its own."""

from pathlib import Path

from pydantic import ValidationError

from ..schemas.errors import InputError, why
from ..schemas.evaluation import Evaluation, Figure

FOLDER, FILE = "evaluation", "evaluation.json"


def evaluation_of(run: Path) -> Evaluation | None:
    """What `tenstep evaluate RUN` has put into the run's folder; none if it has not.

    Raises:
        InputError: it is damaged.
    """
    return read_evaluation(run / FOLDER) if (run / FOLDER / FILE).is_file() else None


def read_evaluation(place: Path) -> Evaluation:
    """Read an evaluation.

    Args:
        place: the file, or the folder that holds it.

    Raises:
        InputError: it cannot be read, or is none.
    """
    file = place / FILE if place.is_dir() else place
    try:
        return Evaluation.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}); make it with: tenstep evaluate", file=file) from None
    except ValidationError as error:
        raise InputError(f"is no evaluation ({why(error)}); make it with: tenstep evaluate", file=file) from None


def columns(evaluation: Evaluation) -> list[str]:
    """Of a table: the other students stand before the one that is compared with them, as base, stage 1, stage 2."""
    others = [other.name for other in evaluation.others]
    differences = [head for name in others for head in (f"difference to {name}", "p")]
    return ["part", "metric", *others, evaluation.student.name, *differences]


def cells(figure: Figure) -> list[str]:
    """A figure under these columns."""
    values = [_number(found.value, found.low, found.high, ".3f") for found in figure.each]
    row = [figure.part, figure.metric, *values]
    for other in figure.others:
        row += [_number(other.difference, other.difference_low, other.difference_high, "+.3f"), f"{other.p:.4f}"]
    return row


def chosen(evaluation: Evaluation, *, by_label: bool) -> list[Figure]:
    """The figures of single findings, or those over all."""
    return [figure for figure in evaluation.figures if (figure.label is not None) is by_label]


def described(evaluation: Evaluation) -> str:
    """What was counted, and what intervals and p are."""
    of = f" of {', '.join(evaluation.sources)}" if evaluation.sources else ""
    text = (
        f"{evaluation.pairs:,} answers for {evaluation.patients:,} patients{of}. Intervals of 95 %: bootstrap of "
        f"patients, {evaluation.resamples:,} draws, seed {evaluation.seed}."
    )
    return text + (" p: approximate randomisation by patient, two-sided." if evaluation.others else "")


def _number(value: float, low: float | None, high: float | None, form: str) -> str:
    return f"{value:{form}}" + ("" if low is None or high is None else f" ({low:{form}} to {high:{form}})")
