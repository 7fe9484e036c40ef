"""Two runs next to each other, blinded: which of two traces for the same study is better, or neither.

Which run stands on the left is drawn for each study by a hash of the seed, so a reader cannot learn it and a repeated
session shows the same. Preferences are appended to `preferences.jsonl` in the first run's folder, each on disk before
the next pair is shown. The test is the exact sign test on pairs that are no ties (two-sided).
"""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import ValidationError

from ...data.run import RunFolder
from ...data.statistics import mcnemar
from ...schemas.errors import InputError, first_fault
from ...schemas.reading import Preference
from .index import TraceIndex
from .queues import position

FILE = "preferences.jsonl"
Side = Literal["first", "second"]


class TracePair(NamedTuple):
    """Two candidates for one study."""

    study_id: str
    first: str
    second: str
    left: Side


class Result(NamedTuple):
    """How often each run was found better."""

    first: int
    second: int
    ties: int
    p: float  # of the sign test; 1 where nothing was preferred


class BlindedComparison:
    """All pairs of two runs, and what readers prefer."""

    def __init__(self, runs: tuple[RunFolder, RunFolder], seed: int) -> None:
        self.runs = runs
        self.indexes = (TraceIndex(runs[0]), TraceIndex(runs[1]))
        self._file = runs[0].path / FILE
        shared = [study for study in self.indexes[0].by_study if study in self.indexes[1].by_study]
        if not shared:
            raise InputError(
                f"has no study in common with {runs[1].path}; name runs over the same studies", file=runs[0].path
            )
        self.pairs = [
            TracePair(
                study,
                _chosen(self.indexes[0], study),
                _chosen(self.indexes[1], study),
                "first" if position(seed, "side", study) < 0.5 else "second",
            )
            for study in sorted(shared, key=lambda study: position(seed, "pair", study))
        ]

    def next_pair(self, reader: str) -> TracePair | None:
        """The next pair that a reader has not compared."""
        done = {(one.first, one.second) for one in self.preferences() if one.reader == reader}
        return next((pair for pair in self.pairs if (pair.first, pair.second) not in done), None)

    def pair(self, first: str) -> TracePair:
        """The pair of a candidate of the first run.

        Raises:
            InputError: there is none.
        """
        found = next((pair for pair in self.pairs if pair.first == first), None)
        if found is None:
            raise InputError("these runs have no such pair; load the page again")
        return found

    def preferences(self) -> list[Preference]:
        """What was preferred, the first answer of each reader to each pair.

        Raises:
            InputError: a line is none of ours.
        """
        if not self._file.is_file():
            return []
        found: dict[tuple[str, str, str], Preference] = {}
        for row, line in enumerate(self._file.read_bytes().splitlines(), 1):
            if line.endswith(b"}"):  # a kill may have cut one; it was never answered
                try:
                    one = Preference.model_validate_json(line)
                except ValidationError as error:
                    message, field = first_fault(error)
                    raise InputError(f"{message}; remove this line", file=self._file, row=row, field=field) from None
                found.setdefault((one.reader, one.first, one.second), one)
        return list(found.values())

    def add(self, preference: Preference) -> None:
        """Write a preference down, on disk when this returns."""
        line = preference.model_dump_json().encode() + b"\n"
        with open(self._file, "a+b", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                line = line if stream.read(1) == b"\n" else b"\n" + line  # a kill has cut the last one
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())

    def result(self, reader: str | None = None) -> Result:
        """Of one reader, or of all."""
        return sign_test([one for one in self.preferences() if reader in (None, one.reader)])

    def close(self) -> None:
        """Let go of the journals."""
        for index in self.indexes:
            index.close()


def sign_test(preferences: Sequence[Preference]) -> Result:
    """Counts, and the exact two-sided sign test."""
    counts = Counter(one.better for one in preferences)
    first, second = counts["first"], counts["second"]
    return Result(first, second, counts["tie"], mcnemar(first, second))


def _chosen(index: TraceIndex, study_id: str) -> str:
    """The candidate that stands for a study: the first that was accepted, else the last one."""
    keys = index.attempts(study_id)
    return next((key for key in keys if index.entries[key].outcome == "accept"), keys[-1])
