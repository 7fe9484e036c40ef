r"""Numbering: why there are not ten steps, when they are there but written in another way.

It protects repair from going in circles: an author who wrote `1)` ten times and only hears "there are no steps"
writes them again. It says nothing once ten steps are read, so lists inside a step are left alone.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import STEPS, Step, Trace
from ..schemas.verdict import Finding, Severity
from .rule import Case, Finder, Group, ten, trace_of

GROUP: Group = "structure"
CODES: Mapping[str, Severity] = {"numbering_style": "error", "steps_on_one_line": "error"}
find = Finder(__name__, CODES)

# Ways to open a step that are not ours, the more telling first. Each stands behind white space at a line start.
STYLES = {
    "step_word": r"[#*_ ]{0,8}step[ \t]{1,4}[0-9]{1,2}\b",
    "bold": r"(?:\*\*|__)[ \t]?[0-9]{1,2}",
    "heading": r"\#{1,6}[ \t]?[0-9]{1,2}",
    "bracket": r"\(?[0-9]{1,2}\)|\[[0-9]{1,2}\]",
    "escaped_dot": r"[0-9]{1,2}\\\.",
    "keycap": r"[0-9]\ufe0f?\u20e3",
    "of_ten": r"[0-9]{1,2}[ \t]?/[ \t]?[0-9]{1,2}\b",
    "other_space": r"[0-9]{1,2}\.[\u00a0\u2000-\u200b\u202f\u3000]",
    "no_space": r"[0-9]{1,2}\.[^\s0-9.]",
    "other_mark": r"[0-9]{1,2}[ \t]?[:–—-][ \t]|[0-9]{1,2}[ \t]\.[ \t]",
    "other_digits": r"(?![0-9])\d{1,2}|[0-9]{1,2}[．、。｡]|[\u2460-\u249b]",  # fullwidth, circled, ...
    "invisible": r"[\u00a0\u200b-\u200f\u2060\ufeff]{1,4}[0-9]{1,2}\.",
    "quote": r">[ \t]?[0-9]{1,2}",
    "roman": r"(?:X|IX|IV|V?I{1,3}|V)\.[ \t]",
    "letter": r"\(?[a-j][.)][ \t]",
    "bullet": r"[-*+•][ \t]",
}
_STYLE = r"(?im)^[ \t]*(?:" + "|".join(f"(?P<{name}>{form})" for name, form in STYLES.items()) + ")"
_INLINE = re.compile(r"(?<=\s)([0-9]{1,2})\.(?=\s)")
_REPORT_TAG = re.compile(r"REPORT\\?_VERBATIM")
# Ten steps fit in this many characters many times over; what comes later shows no other style.
_LOOK_AT = 40_000


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Names the style that hides steps, or the line that holds several of them."""
    trace = trace_of(candidate)
    missing = STEPS - len(trace.steps)
    if missing <= 0 or trace.layout == "json":
        return
    for position, step in enumerate(trace.steps, 1):
        if inner := _inner_steps(step, trace):
            numbers = ", ".join(map(str, inner))
            message = f"The line of step {step.number} goes on with step {numbers}; begin a new line for every step."
            yield find("steps_on_one_line", message, step=position)
    if not trace.steps and (count := _array(candidate.text)):
        message = (
            f"The {count} steps are a JSON array, which is not read; write each on a line of its own, with its number, "
            'a dot and a space before it: "1. ".'
        )
        yield find("numbering_style", message)
        return
    openings = list(re.finditer(_STYLE, _before_report(candidate.text, trace)[:_LOOK_AT]))
    if not openings:
        return
    style, count = Counter(opening.lastgroup for opening in openings).most_common(1)[0]
    if count >= min(3, missing):
        opening = next(opening for opening in openings if opening.lastgroup == style)
        shown = opening.string[opening.start() : opening.start() + 40].splitlines()[0].strip()
        message = (
            f"{count} lines open like {shown!r}, which is not read as a step; open the line of each step with "
            'its number in ASCII digits, a dot and a space, and nothing before it: "1. ".'
        )
        yield find("numbering_style", message, span=opening.span())


def _array(text: str) -> int:
    """How many texts a JSON array holds that opens the answer; 0 where none does."""
    if not text.lstrip().startswith("["):
        return 0
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(text.lstrip()[:_LOOK_AT])
    except (ValueError, RecursionError):
        return 0
    return len(found) if len(found) > 1 and all(isinstance(one, str) for one in found) else 0


def _inner_steps(step: Step, trace: Trace) -> list[int]:
    """Numbers that count on from the step's own inside its text, and that open no line anywhere."""
    opened = {other.number for other in trace.steps}
    numbers: list[int] = []
    for match in _INLINE.finditer(step.text[:_LOOK_AT]):
        expected = step.number + len(numbers) + 1
        if int(match[1]) == expected <= STEPS and expected not in opened:
            numbers.append(expected)
    return numbers


def _before_report(text: str, trace: Trace) -> str:
    if trace.layout == "tagged":
        return _REPORT_TAG.split(text, maxsplit=1)[0]
    return text.removesuffix(trace.report) if trace.report else text


def _restyled(form: str) -> str:
    return re.sub(r"(?m)^([0-9]+)\. ", lambda match: form.format(match[1], int(match[1])), ten())


PASSES = (
    Case(ten()),
    Case(ten({5: "Lungs: clear:\n1) right\n2) left\n3) both"})),
    Case(ten({5: "Lungs: ribs 5. 6. and 7. are seen through them."})),
    Case(ten(report="Impression:\n1) No effusion.\n2) Clear.\n3) Normal."), form="verbatim"),
    Case("1. Lungs: clear.\n2. Heart: normal.\n\nImpression:\n1) No effusion.\n2) Clear.\n3) Normal.", form="verbatim"),
    Case("1. Lungs: clear.\n- on both sides\n2. Heart: normal.", writes_report=False),
)
FAILS = (
    *(
        Case(_restyled(form), "numbering_style")
        for form in (
            "{}) ",
            "({}) ",
            "**{}.** ",
            "Step {}: ",
            "### Step {}\n",
            "{}\\. ",
            "{}.",
            "{}: ",
            "- ",
            "\ufeff{}. ",
            "{}.\u00a0",
            "{}\ufe0f\u20e3 ",
            "{}/10 ",
        )
    ),
    Case(ten().replace("\n10. ", "\n10) "), "numbering_style"),
    Case(_restyled("{}. ").translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}), "numbering_style"),
    Case('["The lungs are clear.", "The heart is normal."]', "numbering_style"),
    Case(ten().replace("\n", " ", 9), "steps_on_one_line"),
    Case(ten().replace("\n7. ", " 7. "), "steps_on_one_line"),
)
