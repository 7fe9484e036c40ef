"""Completion: the answer came whole and can be read.

It protects every other rule from half a text: an answer that was cut off at a limit of tokens, or that has no steps
that can be read, is rejected as it is.
"""

from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .rule import Case, Finder, Group, ten

GROUP: Group = "completion"
CODES: Mapping[str, Severity] = {"unreadable": "error", "cut_off": "error"}
find = Finder(__name__, CODES)

# What providers call an answer that reached its token limit or was never finished.
CUT = frozenset({"length", "max_tokens", "max_output_tokens", "incomplete", "model_context_window_exceeded"})


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """An answer without a trace is unreadable; one that its provider cut is cut off, however complete it looks."""
    if candidate.trace is None:
        yield find("unreadable", f"The answer cannot be read: {candidate.parse_error or 'it was never parsed'}.")
    if candidate.stop_reason is not None and candidate.stop_reason.lower() in CUT:
        yield find("cut_off", f"The answer was cut off ({candidate.stop_reason}); write shorter steps, and finish.")


PASSES = (Case(ten()), Case(ten(), stop_reason="stop"), Case(ten(), stop_reason="end_turn"))
FAILS = (
    Case('{"step_01": "The lungs', "unreadable"),
    Case('{"answer": "clear"}', "unreadable"),
    Case(ten(), "cut_off", stop_reason="length"),
    Case(ten(report=None), "cut_off", stop_reason="max_tokens"),
)
