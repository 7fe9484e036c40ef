"""States: where each request of a run stands, without holding all of them.

Those that were lately looked up or set are held; the others are read from the journal, by its index. A state is set
before its event is on disk, and let go of only after so many others were set that it must be. While none was let go of
in a run that began with an empty journal, what is not held is not there.
"""

from ..schemas.run import State
from .journal import Journal

_HELD = 10_000  # requests; some 3 MB


class States:
    """By request key; see the module."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._held: dict[str, State | None] = {}
        self._all_held = next(journal.events(raw=False), None) is None

    def get(self, key: str) -> State | None:
        """Where a request stands; none if the journal does not know it."""
        if key in self._held:
            return self._held[key]
        if self._all_held:
            return None
        state = self._journal.state(key)
        self._hold(key, state)
        return state

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __getitem__(self, key: str) -> State:
        state = self.get(key)
        if state is None:
            raise KeyError(key)
        return state

    def __setitem__(self, key: str, state: State) -> None:
        self._held.pop(key, None)  # so that it is the last one to go
        self._hold(key, state)

    def _hold(self, key: str, state: State | None) -> None:
        self._held[key] = state
        while len(self._held) > _HELD:
            del self._held[next(iter(self._held))]
            self._all_held = False
