"""Runs and studies for notebooks and scripts: as objects, as a DataFrame, as a `datasets.Dataset`.

Nothing here writes, and nothing is read before it is used. Studies come in the order of the study store, as they do in
the tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..schemas.errors import MissingExtraError
from ..schemas.example import Example
from ..schemas.run import Manifest
from ..schemas.verdict import Outcome
from .judged import Judged
from .run import RunFolder
from .selection import Sourced, examples_of, is_selection, runs_of
from .store.studies import StudyStore

if TYPE_CHECKING:
    from datasets import Dataset
    from pandas import DataFrame


class Run:
    """A run folder, or a selection of runs, read only.

    Attributes:
        path: the folder.
        accepted: the examples; of a selection, the chosen ones by rank.
        doubted: candidates in doubt, as pairs of candidate and verdict.
        rejected: rejected candidates, in the same form.
        manifest: the contents of manifest.json; of a selection, those of its first run.
        studies: the study store; of a selection, that of its first run.
    """

    def __init__(self, path: Path, studies: Path | None) -> None:
        self.path = path
        self._given = studies
        self._runs = runs_of(path)

    @cached_property
    def manifest(self) -> Manifest:
        with RunFolder.read(self._runs[0], studies=self._given) as run:
            return run.manifest

    @cached_property
    def studies(self) -> StudyStore:
        """The study store; of a selection, that of its first run."""
        with RunFolder.read(self._runs[0], studies=self._given) as run:
            return run.studies

    @cached_property
    def accepted(self) -> tuple[Example, ...]:
        return tuple(one.example for one in self._sourced)

    @cached_property
    def doubted(self) -> tuple[Judged, ...]:
        return self._with("doubt")

    @cached_property
    def rejected(self) -> tuple[Judged, ...]:
        return self._with("reject")

    def __len__(self) -> int:
        return len(self.accepted)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.accepted)

    def __repr__(self) -> str:
        kind = "selection" if is_selection(self.path) else self.manifest.kind
        return f"<{kind} {self.path}: {len(self.accepted)} accepted>"

    def to_pandas(self) -> "DataFrame":
        """One row a judged candidate: what was asked and answered, what it cost, the outcome and the codes.

        Of a selection, one row a chosen example's candidate.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("notebook", "pandas") from None
        chosen = {one.example.provenance.key for one in self._sourced} if is_selection(self.path) else None
        rows = [_flat(one) for one in self._judged() if chosen is None or one.candidate.key in chosen]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def to_dataset(self) -> "Dataset":
        """The accepted examples with `id`, `images` (decoded when a row is read), `steps`, `report` and `text`.

        `text` is what a student learns to write: the steps and the report, joined.

        Raises:
            MissingExtraError: datasets is not installed.
        """
        try:
            from datasets import Dataset, Features, Image, List, Value
        except ImportError:
            raise MissingExtraError("hf", "datasets") from None
        text = Value("string")
        features = Features(
            {"id": text, "images": List(Image()), "steps": List(text), "report": text, "text": text, "teacher": text}
        )
        return Dataset.from_list([_example(one) for one in self._sourced], features=features)

    @cached_property
    def _sourced(self) -> tuple[Sourced, ...]:
        return tuple(examples_of(self.path, studies=self._given, training=False))

    def _judged(self) -> Iterator[Judged]:
        for path in self._runs:
            with RunFolder.read(path, studies=self._given) as run:
                yield from run.judged(by_study=True)

    def _with(self, outcome: Outcome) -> tuple[Judged, ...]:
        return tuple(one for one in self._judged() if one.verdict.outcome == outcome)


def load_run(path: str | PathLike[str], *, studies: str | PathLike[str] | None = None) -> Run:
    """Open a run folder, or a selection of runs.

    Args:
        path: what `tenstep curate`, `sample` or `select` wrote.
        studies: the study store, if it is no longer where the run says.

    Returns:
        The run; its parts are read when they are used.

    Raises:
        InputError, RunError: the folder is neither.
    """
    run = Run(Path(path), None if studies is None else Path(studies))
    assert run.manifest  # says at once if it is no run
    return run


def load_studies(path: str | PathLike[str]) -> StudyStore:
    """Open a study store: iterate it for its studies, or `.get(id)` for one.

    Raises:
        InputError: there is none.
    """
    return StudyStore.open(Path(path))


def training_table(rows: Sequence[Mapping[str, object]]) -> Any:
    """Rows of texts as a `datasets.Dataset`; a column may hold paths, which nothing here opens.

    Args:
        rows: at least one; all with the same keys.
    """
    from datasets import Dataset

    return Dataset.from_list([dict(row) for row in rows])


_COLUMNS = (
    "study_id", "outcome", "codes", "attempt", "author", "teacher", "model", "prompt_id", "saw_image", "cost_usd",
    "steps", "text", "resolved_by", "key",
)  # fmt: skip


def _flat(one: Judged) -> dict[str, Any]:
    candidate, verdict = one
    record = candidate.model_dump(include={*_COLUMNS})
    return record | {
        "outcome": verdict.outcome,
        "codes": list(dict.fromkeys(finding.code for finding in verdict.findings)),
        "steps": None if candidate.trace is None else list(candidate.trace.texts),
        "text": candidate.text,
        "resolved_by": None if verdict.resolution is None else verdict.resolution.by,
    }


def _example(one: Sourced) -> dict[str, Any]:
    example, study = one.example, one.example.study
    return {
        "id": study.id,
        "images": [str(one.store.path_of(image).resolve()) for image in study.images],
        "steps": list(example.trace.texts),
        "report": study.report,
        "text": example.target,
        "teacher": example.provenance.teacher,
    }
