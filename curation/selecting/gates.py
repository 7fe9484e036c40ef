"""Gates: what may not be learned from, whatever its quality: held-out patients, and what tests are made of.

    held out       the study is of its source's own test or validation split, or of one in splits.yaml
    contaminated   it shares a patient, a study or an image with a held-out store
    like a test    its report reads like a held-out one and asserts a finding. Normal reports are often the same words
                   for many patients, so a normal one that reads like a held-out one stays, and is counted.

The training terms of the endpoints that wrote a run are a gate too: data/selection.py refuses such a run.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...data.executor import Executor
from ...data.processes import THIS_PROCESS
from ...data.splitting.alike import Looks
from ...data.splitting.contamination import ERRORS, Held, StudyInSplit, looked
from ...data.splitting.splits import SplitRecipe, read_splits
from ...data.store.studies import StudyStore
from ...schemas.study import Study

_WHY = {"patient": "a patient", "study": "a study", "image": "an image"}


class Gates:
    """Why a study may not be learned from; built once, then applied to batches of studies."""

    def __init__(
        self, splits: Path | None, held_out: Sequence[Path], similarity: float, executor: Executor = THIS_PROCESS
    ) -> None:
        self._splits = read_splits(splits) if splits is not None else None
        self._own = SplitRecipe.model_validate({"test": 0.0, "validate": 0.0})
        self._similarity = similarity
        stores = [StudyStore.open(path) for path in held_out]
        self._held = Held(looked(_ones(stores), executor=executor)) if stores else None
        self.alike_and_normal = 0

    @property
    def compares(self) -> bool:
        """Whether there is a held-out store, so that it matters if a reference asserts a finding."""
        return self._held is not None

    def closed(self, studies: Sequence[tuple[Study, Looks | None, bool]]) -> dict[str, str]:
        """The reason for each study that may not be used, by id.

        Args:
            studies: each with what of it is compared, if anything is, and whether its reference asserts a finding.
        """
        found = {study.id: reason for study, _, _ in studies if (reason := self._split(study))}
        if self._held is not None:
            abnormal = {study.id for study, _, abnormal in studies if abnormal}
            alike = set[str]()
            some = [(study, found) for study, found, _ in studies if found is not None]
            for pair in self._held.shared(some, self._similarity):
                if pair.kind in ERRORS:
                    found.setdefault(pair.train, f"contaminated: shares {_WHY[pair.kind]} with a held-out study")
                elif pair.train in abnormal:
                    found.setdefault(pair.train, "like a test: its report reads like a held-out one")
                else:
                    alike.add(pair.train)
            self.alike_and_normal += len(alike - found.keys())
        return found

    def _split(self, study: Study) -> str | None:
        if self._splits is not None:
            place = self._splits.of(study)
        else:
            place = self._own.place(study, frozenset())
        return None if place == "train" else f"held out: of the {place} split"


def _ones(stores: Iterable[StudyStore]) -> Iterator[StudyInSplit]:
    for store in stores:
        for study in store:
            yield StudyInSplit(study, store.path_of, True)
