"""Selections on disk, and the one way to read accepted examples from a run or from a selection of runs.

    SELECTION/selection.json    what was chosen, and why; the parameters and counts (schemas/selection.py)
    SELECTION/removed.jsonl     every example that was not chosen: at which stage, and why

Commands that take a run (distill, ablate, export) take a selection too, through `examples_of`.
"""

from collections.abc import Iterator
from os.path import relpath
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ..schemas.errors import InputError, cannot_be_read, first_fault
from ..schemas.example import Example
from ..schemas.selection import Selection
from ..schemas.study import ReportForm
from .readings import finals
from .run import RunFolder
from .store.studies import StudyStore

FILE = "selection.json"


class Sourced(NamedTuple):
    """An accepted example, the store that holds its study, and the run it comes from."""

    example: Example
    store: StudyStore
    run: Path


def is_selection(path: Path) -> bool:
    """Whether a selection lies at this path: the folder, or its selection.json."""
    return (path / FILE).is_file() or path.name == FILE


def read_selection(path: Path) -> Selection:
    """Read one.

    Raises:
        InputError: it is missing or damaged.
    """
    file = _file(path)
    try:
        return Selection.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(cannot_be_read(error), file=file) from None
    except ValidationError as error:
        message, field = first_fault(error)
        raise InputError(f"is no selection: {message}; make one with: tenstep select", file=file, field=field) from None


def runs_of(path: Path) -> tuple[Path, ...]:
    """The run folders of a selection, or the run itself."""
    if not is_selection(path):
        return (path,)
    folder = _file(path).parent
    return tuple((folder / run.path).resolve() for run in read_selection(path).runs)


def report_form_of(path: Path) -> ReportForm | None:
    """The form of the reports of a run's studies, or of the first run's of a selection; none without studies."""
    with RunFolder.read(runs_of(path)[0]) as run:
        return run.studies.head.report_form


def stored_path(run: Path, folder: Path) -> str:
    """How a selection in `folder` names a run: a folder that is moved with its runs still finds them."""
    try:
        return Path(relpath(run.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return str(run.resolve())


def examples_of(
    path: Path, *, studies: Path | None = None, training: bool = True, reviewed_only: bool = False
) -> Iterator[Sourced]:
    """The accepted examples of a run in the order of its studies, or the chosen ones of a selection by rank.

    Args:
        path: a run folder, a selection's folder or its selection.json.
        studies: the study store, if it is no longer where the runs say.
        training: they will be trained on, or exported for that; false where they are only looked at.
        reviewed_only: those that readers have accepted, as they were or rewritten.

    Raises:
        PolicyError: the terms of an endpoint that wrote them do not allow training.
        InputError, RunError: something cannot be read, or a chosen example is no longer accepted.
    """
    if reviewed_only:
        decided = {run.resolve(): finals(run) for run in runs_of(path)}
        for one in examples_of(path, studies=studies, training=training):
            found = decided[one.run.resolve()].get(one.example.provenance.key)
            if found is not None and found.decision == "accept":
                yield one
        return
    if not is_selection(path):
        yield from _of_run(path, studies, training=training)
        return
    selection = read_selection(path)
    wanted = {(row.run, row.key): row for row in selection.rows}
    if len(wanted) < len(selection.rows) or len({row.rank for row in selection.rows}) < len(selection.rows):
        raise InputError("chooses an example twice, or has two of one rank; select again", file=_file(path))
    chosen: dict[int, Sourced] = {}
    for number, run in enumerate(runs_of(path)):
        for one in _of_run(run, studies, training=training):
            row = wanted.pop((number, one.example.provenance.key), None)
            if row is not None:
                chosen[row.rank] = one
    if wanted:
        row = next(iter(wanted.values()))
        raise InputError(
            f"{len(wanted)} chosen examples are no longer accepted in their run (the first is '{row.study_id}'): a "
            "recheck or a review changed them; select again",
            file=path,
        )
    yield from (chosen[rank] for rank in sorted(chosen))


def _of_run(path: Path, studies: Path | None, *, training: bool) -> Iterator[Sourced]:
    with RunFolder.read(path, studies=studies) as run:
        if training:
            run.check_training()
        for example in run.accepted():
            yield Sourced(example, run.studies, path)


def _file(path: Path) -> Path:
    return path / FILE if path.is_dir() else path
