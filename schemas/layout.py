"""The target layouts: how ten steps and a report become one text, and how such a text is taken apart.

    plain     1. ... to 10. ..., one line each, a blank line, the report
    tagged    <<REASONING_10_STEPS>>, steps, <<END_REASONS>>, a blank line, <<REPORT_VERBATIM>>, report, <<END_REPORT>>
    json      {"step_01": ..., "step_10": ...}, read only: what teachers answer

`write` is canonical; `parse` is lenient, keeps what it cannot place (`preamble`, `between`, `trailer`) and
never judges. `parse(write(steps, report))` gives the same steps and the same report, byte for byte. Both
are linear in the length of the text.

In the wild the tagged form is markdown-escaped (`<\\<REASONING\\_10\\_STEPS>>`) and its last tag indented;
that is read, marked `escaped`, and never written.
"""

import json
import re
from collections.abc import Sequence
from typing import Literal

from .errors import LayoutError
from .trace import STEPS, Step, Trace

_STEP_LINE = re.compile(r"[ \t]*(\d{1,2})\.(?:[ \t]+(.*)|[ \t]*)$")
_FIRST_STEP = re.compile(r"(?m)^[ \t]*\d{1,2}\.(?=\s)")
_HEADER = re.compile(
    r"[ \t]*(?:technique|view|findings|impression|final report|report)[ \t]*:|[ \t]*FINAL REPORT\b", re.I
)
_TAG = r"[ \t]*<\\?<{}>\\?>[ \t]*\r?$"
_TAGS = {
    name: re.compile("(?m)^" + _TAG.format(name.replace("_", r"\\?_")))
    for name in ("REASONING_10_STEPS", "END_REASONS", "REPORT_VERBATIM", "END_REPORT")
}
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!<>~|])")
# A line this long that ends without a stop was wrapped, so a number that opens the next line is a measurement.
_WRAPPED = 40


def write(steps: Sequence[str], report: str, layout: Literal["plain", "tagged"] = "plain") -> str:
    """Join steps and report.

    Args:
        steps: the steps' texts without numbers.
        report: the reference, copied byte for byte.
        layout: plain or tagged.

    Raises:
        LayoutError: a step is empty, spans lines, or has white space around it; nothing is repaired here.
    """
    for number, text in enumerate(steps, 1):
        if not text or text != text.strip() or "\n" in text or "\r" in text:
            raise LayoutError(f"step {number} must be one non-empty line without outer white space: {text[:60]!r}")
    block = "\n".join(f"{number}. {text}" for number, text in enumerate(steps, 1))
    if layout == "plain":
        return f"{block}\n\n{report}"
    return f"<<REASONING_10_STEPS>>\n{block}\n<<END_REASONS>>\n\n<<REPORT_VERBATIM>>\n{report}\n<<END_REPORT>>"


def parse(text: str) -> Trace:
    """Take a text apart.

    Raises:
        LayoutError: the text opens like a JSON object and is not one, or is one without steps.
    """
    if text.lstrip().startswith("{"):
        return _parse_json(text)
    tag, first = _TAGS["REASONING_10_STEPS"].search(text), _FIRST_STEP.search(text)
    if tag and (first is None or tag.start() < first.start()):  # later, it is only quoted by the report
        return _parse_tagged(text, escaped="\\" in tag[0])
    return _parse_plain(text)


def unescape(text: str) -> str:
    """Undo markdown escapes (`\\_` to `_`)."""
    return _ESCAPE.sub(r"\1", text)


def _parse_json(text: str) -> Trace:
    try:
        # strict=False: constrained decoders put raw line breaks into strings
        answer, end = json.JSONDecoder(strict=False).raw_decode(text.lstrip())
    except ValueError as error:
        raise LayoutError(f"the answer opens as a JSON object but is not one ({error})") from None
    keys = sorted(key for key in answer if re.fullmatch(r"step_\d\d", key))
    if not keys:
        raise LayoutError("the JSON answer has no keys step_01 to step_10")
    steps = tuple(Step(number=int(key[5:]), text=_one_line(str(answer[key]))) for key in keys)
    report = answer.get("report")
    trailer = text.lstrip()[end:].strip()
    return Trace(steps=steps, report=report if isinstance(report, str) else None, layout="json", trailer=trailer)


def _parse_tagged(text: str, *, escaped: bool) -> Trace:
    if escaped:
        text = unescape(text)
    opening = _TAGS["REASONING_10_STEPS"].search(text)
    assert opening is not None  # the caller saw it; unescaping keeps it
    after = opening.end()
    closing = _TAGS["END_REASONS"].search(text, after)
    report_tag = _TAGS["REPORT_VERBATIM"].search(text, closing.end() if closing else after)
    end_of_steps = closing.start() if closing else report_tag.start() if report_tag else len(text)
    inner = _parse_plain(text[after:end_of_steps])
    stray = "" if inner.report is None else inner.report
    between, report, trailer = "", None, ""
    if report_tag:
        between = text[closing.end() : report_tag.start()] if closing else ""
        start = min(report_tag.end() + 1, len(text))
        ends = list(_TAGS["END_REPORT"].finditer(text, start))
        stop = ends[-1].start() if ends else len(text)
        report = text[start : stop - 1] if ends and stop > start else text[start:stop]
        trailer = text[ends[-1].end() :] if ends else ""
    elif closing:
        between = text[closing.end() :]
    return Trace(
        steps=inner.steps,
        report=report,
        layout="tagged",
        preamble=(text[: opening.start()] + inner.preamble).strip(),
        between=(stray + between).strip(),
        trailer=trailer.strip(),
        escaped=escaped,
    )


def _parse_plain(text: str) -> Trace:
    lines = text.split("\n")
    numbers = [
        (int(match[1]), match[2] or "") if (match := _STEP_LINE.match(line.rstrip("\r"))) else None for line in lines
    ]
    first = next((i for i, found in enumerate(numbers) if found), None)
    if first is None:
        return Trace(preamble=text.strip())
    last_of = {found[0]: i for i, found in enumerate(numbers) if found}
    steps: list[tuple[int, list[str]]] = []
    loose = 0
    at, report_at = first, None
    while at < len(lines):
        line, found = lines[at].rstrip("\r"), numbers[at]
        expected = steps[-1][0] + 1 if steps else 1
        if not line.strip():
            following = _next_text(lines, at)
            number = numbers[following] if following is not None else None
            goes_on = number is not None and number[0] == expected and (expected <= STEPS or loose >= STEPS // 2)
            if not goes_on:
                report_at = at + 1 if following is not None else None
                break
            assert following is not None
            loose += 1
            at = following
            continue
        if found and not (found[0] != expected and steps and _was_wrapped(steps[-1][1][-1])):
            steps.append((found[0], [found[1]]))
        elif _HEADER.match(line) and last_of.get(expected, -1) < at:
            report_at = at
            break
        else:
            steps[-1][1].append(line)
        at += 1
    report = None if report_at is None else "\n".join(lines[report_at:])
    return Trace(
        steps=tuple(Step(number=number, text=_one_line(" ".join(parts))) for number, parts in steps),
        report=report,
        preamble="\n".join(lines[:first]).strip(),
    )


def _next_text(lines: list[str], at: int) -> int | None:
    return next((i for i in range(at, len(lines)) if lines[i].strip()), None)


def _was_wrapped(line: str) -> bool:
    return len(line) >= _WRAPPED and line.rstrip()[-1:] not in ".?!:;"


def _one_line(text: str) -> str:
    """Join wrapped lines; leave everything else, odd spaces too, for the rules to see."""
    return " ".join(part.strip() for part in re.split(r"[\r\n]+", text)).strip()
