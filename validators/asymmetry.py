"""Asymmetry: a step says that one side is the worse one, and the reference says the other.

It protects against the flip that no wrong side gives away: both sides are named in either text. Only comparisons of
degree count ("larger on the left than on the right", "left greater than right"); which dome of the diaphragm stands
higher is normal anatomy.

False alarms: none of the 20,702 sentences of 3,425 real reports (Open-i), each a step against its own report.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .findings import sentences
from .grounding import REPORT_LIMIT
from .rule import Case, Finder, Group, ten
from .steps import steps_of

GROUP: Group = "grounding"
CODES: Mapping[str, Severity] = {"wrong_asymmetry": "error"}
find = Finder(__name__, CODES)

_MORE = r"(?:greater|larger|bigger|worse|more|denser|wider|thicker|heavier|stronger|fuller)"
_LESS = r"(?:less|smaller|milder|fainter|lighter|thinner)"
_BETWEEN = r"(?:[\w-]+\s+){0,5}?"
_STRESSED = r"(?:pronounced|marked|severe|extensive|prominent|evident|conspicuous|so)"
_ONE = r"(?:\s+(?:one|side|effusion|base|lung))?"
_COMPARED = tuple(
    (
        re.compile(
            rf"\b(left|right)\s+{_BETWEEN}{degree}\b\s+{_BETWEEN}than\b"  # the left larger than the right
            rf"|\b{degree}\s+{_BETWEEN}(left|right)\s+{_BETWEEN}than\b"  # worse on the left than on the right
            rf"|\b{degree}\s+(?:{_STRESSED}\s+)?(?:on|at)\s+the\s+(left|right)\b"  # more pronounced on the left
            rf"|\b(left|right){_ONE}\s+(?:is|being|was)\s+(?:the\s+)?{degree}\b",  # the left one is the larger
            re.I,
        ),
        sign,
    )
    for degree, sign in ((_MORE, 1), (_LESS, -1))
)
_EXCEEDS = re.compile(r"\b(left|right)\s+(?:side\s+)?exceed(?:s|ing)\s+the\s+(?:left|right)\b", re.I)
_DEGREES = re.compile(rf"\b(?:{_MORE}|{_LESS}|exceeds|exceeding)\b", re.I)
_OTHER = {"left": "right", "right": "left"}


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Comparisons of the sides whose worse side is the reference's better one."""
    report = study.report[:REPORT_LIMIT]
    if _DEGREES.search(report) is None:
        return
    known = {worse: report[start:end] for start, end in sentences(report) for worse in _worse(report[start:end])}
    if len(known) != 1:  # none, or one for each side: then which is meant cannot be told
        return
    (side, evidence), *_ = known.items()
    for position, text in steps_of(candidate):
        if _DEGREES.search(text) and _OTHER[side] in _worse(text):
            yield find(
                "wrong_asymmetry",
                f"{text!r}: the {side} side is the worse one; correct the comparison.",
                step=position,
                evidence=evidence,
            )


def _worse(text: str) -> Iterator[str]:
    for pattern, sign in _COMPARED:
        for match in pattern.finditer(text):
            side = next(filter(None, match.groups())).lower()
            yield side if sign > 0 else _OTHER[side]
    yield from (match.group(1).lower() for match in _EXCEEDS.finditer(text))


_UNEQUAL = """\
Technique: Chest radiograph.
View: PA
Findings: Bilateral pleural effusions, right greater than left.
Impression: Effusions."""

PASSES = (
    Case(ten()),
    Case(ten({6: "Both pleural spaces hold fluid, more on the right than on the left."}, _UNEQUAL), None, _UNEQUAL),
    Case(ten({6: "Effusions are seen, the left one smaller than the right."}, _UNEQUAL), None, _UNEQUAL),
)
FAILS = (
    Case(
        ten({6: "Both pleural spaces hold fluid, the left larger than the right."}, _UNEQUAL),
        "wrong_asymmetry",
        _UNEQUAL,
    ),
    Case(ten({6: "The effusions are worse on the left than on the right."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
    Case(ten({6: "Fluid on both sides, more pronounced on the left."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
    Case(ten({6: "The two effusions are unequal: the left one is the larger."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
    Case(ten({6: "Both effusions are small, the left exceeding the right."}, _UNEQUAL), "wrong_asymmetry", _UNEQUAL),
)
