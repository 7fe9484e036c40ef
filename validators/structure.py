"""Structure: exactly ten steps, numbered 1 to 10 in order, each with content.

It protects training from targets that teach the student another count. It judges what the parser read as steps;
a numbered Impression and a measurement at a wrapped line start are none (`schemas/layout.py`), and steps that
were numbered so that the parser could not see them are explained by `numbering.py`.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import STEPS, Trace
from ..schemas.verdict import Finding, Severity
from .rule import Case, Finder, Group, ten, trace_of

GROUP: Group = "structure"
CODES: Mapping[str, Severity] = {"step_count": "error", "step_order": "error", "step_empty": "error"}
find = Finder(__name__, CODES)

_CONTENT = re.compile(r"[^\W_]")


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Steps that are missing, too many, misnumbered or empty; past the tenth only their number counts."""
    trace = trace_of(candidate)
    if len(trace.steps) != STEPS:
        yield find("step_count", _count_message(trace))
    for position, step in enumerate(trace.steps[:STEPS], 1):
        if step.number != position:
            message = f"Step {position} is numbered {step.number}; number the steps 1 to {STEPS}, each once, in order."
            yield find("step_order", message, step=position)
            break  # all that follow are off as well
    for position, step in enumerate(trace.steps[:STEPS], 1):
        if not _CONTENT.search(step.text):
            yield find(
                "step_empty", f"Step {position} is empty; say what was inspected and what it shows.", step=position
            )


def _count_message(trace: Trace) -> str:
    count = len(trace.steps)
    if count == 0:
        return (
            f"There are no numbered steps; write exactly {STEPS}, each on its own line, numbered '1. ' to '{STEPS}. '."
        )
    more = f"{count - STEPS} too many; merge some" if count > STEPS else f"{STEPS - count} too few; add what is missing"
    steps = "is 1 step" if count == 1 else f"are {count} steps"
    message = f"There {steps}, {more}, so that there are exactly {STEPS}."
    anew = sum(step.number <= before.number for before, step in pairwise(trace.steps))
    if count > STEPS and anew:
        message += f" The numbering begins anew {anew} times: lists inside a step are read as steps; write sentences."
    if count < STEPS and trace.layout == "plain" and trace.report:
        message += (
            f" The steps end at the blank line or header behind number {trace.steps[-1].number},"
            f" where {trace.report.strip()[:40]!r} begins."
        )
    return message


PASSES = (
    Case(ten()),
    Case(ten(report=None), writes_report=False),
    Case(ten().replace("\n", "\r\n")),
    Case(ten().replace("\n", "\n\n", 9)),
    Case(ten({5: "Lungs: a nodule in the right upper lobe, which measures\n4.2 cm, is seen."})),
    Case(ten(report="Impression:\n1. No effusion.\n2. Clear lungs.\n11. Normal heart."), form="verbatim"),
)
FAILS = (
    Case("The lungs are clear.", "step_count"),
    Case(ten().replace("10. ", ""), "step_count"),
    Case(ten().replace("\n\nTechnique", "\n11. More: none.\n\nTechnique"), "step_count"),
    Case(ten().replace("\n4. ", "\n\nMore on the heart.\n4. "), "step_count"),
    Case('{"step_01": "The lungs are clear."}', "step_count"),
    Case(ten().replace("5. ", "6. ", 1), "step_order"),
    Case(ten().replace("1. ", "0. ", 1), "step_order"),
    Case(ten({4: "..."}), "step_empty"),
    Case(ten({4: ""}), "step_empty"),
    Case(ten({10: "**__**"}), "step_empty"),
)
