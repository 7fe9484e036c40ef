"""Wrapping: nothing before step 1, nothing between step 10 and the report, nothing behind the end.

It protects the target from what chat models put around an answer: greetings, code fences, thinking, control
tokens. Text before or after a copied report, which only the reference can show, is found by the rule `report`.
Fences, thinking and tokens are looked for in the whole text; no report of a radiologist holds one.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.trace import STEPS
from ..schemas.verdict import Finding, Severity
from .rule import REFERENCE, Case, Finder, Group, ten, trace_of

GROUP: Group = "structure"
CODES: Mapping[str, Severity] = {
    "code_fence": "error",
    "think_tags": "error",
    "control_tokens": "error",
    "chatter": "error",
    "preamble": "error",
    "text_between": "error",
    "text_after_end": "error",
}
find = Finder(__name__, CODES)

# Matched against lower-cased text: that is twice as fast as ignoring case. Each opens with one literal character,
# so that a search skips over everything else.
_MARKS = (
    re.compile(r"(?P<code_fence>```|~~~).*"),
    re.compile(
        r"<(?=[/a-z]|\|[a-z_])(?:(?P<think_tags>/?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|answer))"
        r"|(?P<control_tokens>\|[\w ]{1,40}\||/?s|bos|eos|pad|unk|image|(?:start|end)_of_turn))>"
    ),
    re.compile(r"\[/?(?P<control_tokens>inst|think)\]"),
)
_FEW = 20  # marks to look at: by then each kind was seen, or the text is nothing but marks
# Said to a reader who asked. Narrow on purpose: a report may well open with "Great vessels" or end with a note.
_CHATTER = re.compile(
    r"\W{0,8}(?:(?:sure|certainly|of course|absolutely|okay|ok|understood)\b\W{0,2}[,!.:\n]"
    r"|here(?:['’]s| is| are)\b|below (?:is|are)\b|as requested\b|as an ai\b|i(?:['’]ll| will)\b|let me\b|let['’]s\b"
    r"|i hope (?:this|that)\b|feel free to (?:ask|reach)\b|is there anything else\b|would you like\b"
    r"|if you (?:have any|need|want)\b|disclaimer\b|this (?:report|analysis) (?:is|was) (?:ai\b|generated))",
    re.I,
)
_ANNOUNCED = re.compile(
    r"(?:^|[.!?:]\s*)\W{0,4}(?:(?:here(?:['’]s| is)|below is|this is|now)\b[^.!?]{0,40}\breport\b[^.!?]{0,20}"
    r"|(?:final |full )?report):\W{0,4}$",
    re.I,
)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Everything that stands around steps and report."""
    trace = trace_of(candidate)
    for code, mark in _marks(candidate.text).items():
        yield find(code, f"Leave out {mark[:40]!r} and all such marks; write the numbered steps as plain text.")
    edges = (
        ("preamble", trace.preamble if trace.steps else "", "before step 1; begin with '1. '"),
        ("text_between", trace.between, "between the steps and the report; leave it out"),
        ("text_after_end", trace.trailer, "behind the end; stop there"),
    )
    for code, text, place in edges:
        if text and (rest := _without_marks(text)):
            yield find("chatter" if _CHATTER.match(rest) else code, f"There is text {place}: {rest[:60]!r}.")
    last = trace.steps[-1].text[-120:] if len(trace.steps) == STEPS else ""
    if ":" in last[-6:] and (announced := _ANNOUNCED.search(last)):
        yield find("text_between", f"Step {STEPS} must not announce the report: {announced[0].strip()!r}.", step=STEPS)
    if trace.report:
        for line in (trace.report.lstrip()[:80], trace.report.rstrip().rpartition("\n")[2][:80]):
            if _CHATTER.match(line):
                yield find("chatter", f"Write the report alone, without words to the reader: {line[:60]!r}.")
                break


def _marks(text: str) -> dict[str, str]:
    """The first mark of every kind."""
    seen: dict[str, str] = {}
    text = text.lower()
    for pattern in _MARKS:
        for mark in islice(pattern.finditer(text), _FEW):
            seen.setdefault(str(mark.lastgroup), mark[0])
    return seen


def _without_marks(text: str) -> str:
    """What else stands in an edge, its first kilobyte at most."""
    text = text[:1_000]
    for pattern in _MARKS:
        text = re.sub(pattern.pattern, "", text, flags=re.I)
    return text.strip()


PASSES = (
    Case(ten()),
    Case("The lungs are clear."),  # no step, so nothing stands before the first
    Case("1. Lungs: clear.\n2. Synthesis, as in the final report:", writes_report=False),
    Case(ten(report="Great vessels are normal.\nPlease note that this study is limited."), form="verbatim"),
    Case(ten(report=None), writes_report=False),
    Case(ten({10: "Synthesis: nothing in this image needs a report of its own."})),
    Case(
        f"<<REASONING_10_STEPS>>\n{ten(report=None)}\n<<END_REASONS>>\n\n<<REPORT_VERBATIM>>\n{REFERENCE}\n<<END_REPORT>>"
    ),
)
FAILS = (
    Case(f"Sure, here is the reasoning:\n\n{ten()}", "chatter"),
    Case(f"{ten()}\n\nLet me know if you need anything else.", "chatter"),
    Case(ten(report=f"Here is the report:\n\n{REFERENCE}"), "chatter"),
    Case(f"Reasoning\n{ten()}", "preamble"),
    Case(f"```\n{ten()}\n```", "code_fence"),
    Case(f"{ten(report=None)}\n```", "code_fence", writes_report=False),
    Case(f"<Think>The lungs look clear.</think>\n{ten()}", "think_tags"),
    Case(f"{ten()}<|eot_id|>", "control_tokens"),
    Case(f"[INST]{ten()}", "control_tokens"),
    Case(ten({10: "Synthesis: normal.\nNow the final report:"}), "text_between"),
    Case(ten().replace("abnormality.\n\nTech", "abnormality.\n**Report:**\nTech"), "text_between"),
    Case(
        f"<<REASONING_10_STEPS>>\n{ten(report=None)}\n<<END_REASONS>>\nx\n<<REPORT_VERBATIM>>\nr\n<<END_REPORT>>",
        "text_between",
    ),
    Case(
        f"<<REASONING_10_STEPS>>\n{ten(report=None)}\n<<END_REASONS>>\n<<REPORT_VERBATIM>>\nr\n<<END_REPORT>>\nx",
        "text_after_end",
    ),
    Case('{"step_01": "The lungs are clear.", "confidence": "high"}', "text_between", writes_report=False),
)
