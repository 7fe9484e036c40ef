"""Structure: exactly ten steps, numbered 1 to 10 in order, each with content."""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import STEPS
from ..schemas.verdict import Finding, Severity
from .rule import Case, Finder, ten, trace_of

CODES: Mapping[str, Severity] = {"step_count": "error", "step_order": "error", "step_empty": "error"}
find = Finder(__name__, CODES)

_CONTENT = re.compile(r"[^\W_]")


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Steps that are missing, extra, misnumbered or empty."""
    steps = trace_of(candidate).steps
    if len(steps) != STEPS:
        yield find("step_count", f"There are {len(steps)} steps; write exactly {STEPS}.")
    for position, step in enumerate(steps[: 2 * STEPS], 1):
        if step.number != position:
            yield find("step_order", f"Step {position} is numbered {step.number}.", step=position)
            break
    for position, step in enumerate(steps[:STEPS], 1):
        if not _CONTENT.search(step.text):
            yield find("step_empty", f"Step {position} is empty; say what is seen there.", step=position)


PASSES = (Case(ten()), Case(ten(report=None), writes_report=False))
FAILS = (
    Case(ten().replace("10. ", ""), "step_count"),
    Case(ten().replace("5. ", "6. ", 1), "step_order"),
    Case(ten({4: "..."}), "step_empty"),
)
