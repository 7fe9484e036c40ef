"""What a process that judges does: verdicts, and looking for earlier traces that say the same (verdict_pool.py).

A file of its own, since it is all that such a process loads, and starting one is to cost little. What it sends back is
only what the process that asks does not have; the trace goes as JSON, which is a third of the work of pickling it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import Trace
from ..schemas.verdict import Doubts, Verdict, Weight
from .template_trace import Templates
from .verdicts import Opinion, judge_candidate

Call = tuple[str, tuple[Any, ...]]  # `judge` with a study and a candidate, or a method of Templates with its arguments


class Found(NamedTuple):
    """What was found in a candidate."""

    trace: bytes | None  # JSON
    parse_error: str | None
    verdict: Verdict
    sketches: bytes | None
    is_compared: bool = False
    twin: str | None = None

    def opinion_of(self, unread: Candidate) -> Opinion:
        """The same, with the candidate that was sent."""
        trace = None if self.trace is None else Trace.model_validate_json(self.trace)
        candidate = unread.model_copy(update={"trace": trace, "parse_error": self.parse_error})
        return Opinion(candidate, self.verdict, self.sketches, self.is_compared, self.twin)


class Worker:
    """See the module.

    Args:
        severities: the recipe's.
        doubts: what the recipe says of them.
        own: files of rules that the recipe names.
        compares: whether traces are compared here: then each is, as soon as it was judged.
        place: of their database, if it is kept.
    """

    def __init__(
        self,
        severities: Mapping[str, Weight] = {},
        doubts: Doubts = "hold",
        own: Sequence[str] = (),
        *,
        compares: bool = True,
        place: Path | None = None,
    ) -> None:
        self._options = severities, doubts, own
        self._templates = Templates(place) if compares else None

    def work(self, batch: Sequence[Call]) -> list[Any]:
        """What comes of each of several calls, in order."""
        results: list[Any] = []
        for name, calls in groupby(batch, key=itemgetter(0)):
            arguments = [args for _, args in calls]
            if name == "judge":
                results += self._judged(arguments)
            elif name == "add":
                results += self._compared(arguments)
            else:
                results += [getattr(self._templates, name)(*args) for args in arguments]
        return results

    def _judged(self, batch: Sequence[tuple[Study, Candidate]]) -> Sequence[Found | Exception]:
        results = [self._judge(study, candidate) for study, candidate in batch]
        if self._templates is None:
            return results
        to_compare, traces = [], []
        for at, ((study, candidate), one) in enumerate(zip(batch, results, strict=True)):
            if isinstance(one, Found) and one.sketches is not None:
                to_compare.append((at, one))
                traces.append((candidate.key, study.id, one.sketches))
        for (at, one), twin in zip(to_compare, self._compared(traces), strict=True):
            results[at] = one._replace(is_compared=True, twin=twin)
        return results

    def _judge(self, study: Study, candidate: Candidate) -> Found | Exception:
        try:
            judged, verdict, sketches, *_ = judge_candidate(study, candidate, *self._options)
        except Exception as error:  # noqa: BLE001 it is raised where the candidate is waited for
            return RuntimeError(f"judging {candidate.study_id} raised {type(error).__name__}")
        trace = None if judged.trace is None else judged.trace.model_dump_json().encode()
        return Found(trace, judged.parse_error, verdict, sketches)

    def _compared(self, traces: Sequence[tuple[str, str, bytes]]) -> list[str | None]:
        if not traces:
            return []
        assert self._templates is not None  # or it would not be asked
        return self._templates.remember(traces)

    def close(self) -> None:
        """Close the traces' database."""
        if self._templates is not None:
            self._templates.close()


def started(
    severities: Mapping[str, Weight],
    doubts: Doubts,
    own: Sequence[str],
    *,
    compares: bool,
    place: Path | None = None,
) -> Callable[[Sequence[Call]], list[Any]]:
    """What a process does with a batch of calls (batch_process.py)."""
    return Worker(severities, doubts, own, compares=compares, place=place).work
