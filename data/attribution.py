"""The attribution of a run, where there is one: which traces a student knows least, by their keys."""

from pathlib import Path

from pydantic import ValidationError

from ..schemas.attribution import Attributed
from ..schemas.errors import InputError, first_fault
from .formats.json_lines import json_lines

FOLDER, FILE = "attribution", "attribution.jsonl"


def attribution_of(run: Path) -> dict[str, Attributed]:
    """What `tenstep attribute RUN STUDENT` has put into the run's folder; empty if it has not.

    Raises:
        InputError: it is damaged.
    """
    return read_attribution(run / FOLDER) if (run / FOLDER / FILE).is_file() else {}


def read_attribution(place: Path) -> dict[str, Attributed]:
    """The rows by the candidates' keys.

    Args:
        place: the file, or a folder that holds it.

    Raises:
        InputError: it cannot be read, or is none.
    """
    file = place / FILE if place.is_dir() else place
    found: dict[str, Attributed] = {}
    for line in json_lines(file):
        try:
            row = Attributed.model_validate(line.found, strict=False)
        except ValidationError as error:
            message, field = first_fault(error)
            raise InputError(line.problem or message, file=file, row=line.row, field=field) from None
        found[row.key] = row
    return found
