"""Nearby: studies by id, cheap when they are read in about the order of the store."""

from itertools import islice

from ..schemas.study import Study
from .store.studies import StudyStore

_AHEAD = 512  # studies held


class Nearby:
    """Reads ahead and holds for a while what it passed; anything else is looked up. Each study is taken once."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store
        self._ahead = iter(store)
        self._held: dict[str, Study] = {}

    def get(self, study_id: str) -> Study:
        """One study.

        Raises:
            InputError: the store does not hold it.
        """
        if study_id not in self._held:
            for study in islice(self._ahead, _AHEAD // 2):
                self._held[study.id] = study
            while len(self._held) > _AHEAD:
                del self._held[next(iter(self._held))]
        found = self._held.pop(study_id, None)
        return self._store.get(study_id) if found is None else found
