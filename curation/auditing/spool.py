"""Spool: the verdicts of all rows, on disk until they are wanted, so that memory does not grow with messages."""

import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from ..template_trace import RULE, finding
from .crosstab import Counts, Groups, groups_of
from .items import Item

_FIELDS = {"rule", "code", "severity", "step", "message"}


class Spool:
    """Rows in the order in which they were added, in the form of `tenstep audit --json`."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 lives as long as we do

    def add(self, item: Item) -> None:
        """One more row."""
        row = {
            "id": item.id,
            "accepted": item.verdict.accepted,
            "outcome": item.verdict.outcome,
            "findings": [finding.model_dump(include=_FIELDS) for finding in item.verdict.findings],
        }
        self._file.write(json.dumps([row, groups_of(item)], ensure_ascii=False) + "\n")

    def settle(self, templates: Collection[int]) -> list[bool]:
        """Write a doubt into rows that are templates, by their number from 1.

        Returns:
            One value for each row in which it is new: whether the row was accepted until then.
        """
        changed: list[bool] = []
        if not templates:
            return changed
        settled = Spool()
        for number, (row, groups) in enumerate(self._lines(), 1):
            if number in templates and all(found["rule"] != RULE for found in row["findings"]):
                changed.append(row["accepted"])
                row["findings"].append(finding().model_dump(include=_FIELDS))
                row.update({"outcome": "doubt", "accepted": False} if row["accepted"] else {})
            settled._file.write(json.dumps([row, groups], ensure_ascii=False) + "\n")
        self._file, settled._file = settled._file, self._file
        settled.close()
        return changed

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (row for row, _ in self._lines())

    def counts(self) -> Counts:
        """How many rows of each group have which outcome."""
        return Counter((kind, group, row["outcome"]) for row, groups in self._lines() for kind, group in groups)

    def _lines(self) -> Iterator[tuple[dict[str, Any], Groups]]:
        self._file.seek(0)
        yield from map(json.loads, self._file)

    def close(self) -> None:
        """Forget them."""
        self._file.close()
