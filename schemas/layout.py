"""The target layouts: how ten steps and a report become one text, and how such a text is parsed.

    plain     1. ... to 10. ..., one line each, a blank line, the report
    tagged    <<REASONING_10_STEPS>>, steps, <<END_REASONS>>, a blank line, <<REPORT_VERBATIM>>, report, <<END_REPORT>>
    json      {"step_01": ..., "step_10": ...}, read only: what teachers answer

`write` is canonical; `parse` is lenient, keeps what it cannot place (`preamble`, `between`, `trailer`) and
never judges: of the text nothing is lost but numbers, tags and white space between parts. For ten steps
`parse(write(steps, report))` gives the same steps and the same report, byte for byte. Both are linear in the
length of the text.

Plain: a step opens at a line start with one or two ASCII digits, a dot and white space (`4.2 cm` is none). Other
lines continue the step above them. The report begins behind the first blank line that the next step does not
follow, or at a report header. Whoever puts blank lines between steps may do so up to the tenth, and past it only
if that was the habit before; so a report that opens with `11. ` stays a report.

JSON: keys other than the steps and a report that is text stand in `between`, as JSON.

In the wild the tagged form is markdown-escaped (`<\\<REASONING\\_10\\_STEPS>>`) and its last tag indented;
that is read, marked `escaped`, and never written.
"""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .errors import LayoutError
from .trace import STEPS, Step, Trace, WrittenLayout

_STEP_LINE = re.compile(r"[ \t]*([0-9]{1,2})\.(?:[ \t]+|(?=\r?$))")
_STEP_KEY = re.compile("step_[0-9]{2}")
_FIRST_STEP = re.compile(r"(?m)^[ \t]*[0-9]{1,2}\.(?=\s)")
_HEADER = re.compile(
    r"[ \t]*(?:technique|view|findings|impression|final report|report)[ \t]*:|[ \t]*FINAL REPORT\b", re.I
)
_TAG = r"[ \t]*<\\?<{}>\\?>[ \t]*\r?$"
_TAGS = {
    name: re.compile("(?m)^" + _TAG.format(name.replace("_", r"\\?_")))
    for name in ("REASONING_10_STEPS", "END_REASONS", "REPORT_VERBATIM", "END_REPORT")
}
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!<>~|])")
_SURROGATE = re.compile("[\ud800-\udfff]")
# A line this long that ends without a stop was wrapped, so a number that opens the next line is a measurement.
_WRAPPED = 40
# The most steps that are split; what follows the last of them is its text. No writer means to give so many.
_MOST_STEPS = 1000


def write(steps: Sequence[str], report: str, layout: WrittenLayout = "plain") -> str:
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
    """Parse a text.

    Raises:
        LayoutError: the text is not valid Unicode, opens like a JSON object and is not one, or is one without steps.
    """
    if _holds_half_a_character(text):
        raise LayoutError("the text holds half a character (a lone surrogate); save it as UTF-8")
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
    text = text.lstrip()
    try:
        # strict=False: constrained decoders put raw line breaks into strings
        answer, end = json.JSONDecoder(strict=False, object_pairs_hook=each_key_once).raw_decode(text)
        steps = {key: answer.pop(key) for key in sorted(answer) if _STEP_KEY.fullmatch(key)}
        report = answer.pop("report", None) if isinstance(answer.get("report"), str | None) else None
        others = json.dumps(answer, ensure_ascii=False) if answer else ""
        texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in steps.values()]
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"the answer opens as a JSON object but is not one ({error})") from None
    if not steps:
        raise LayoutError("the JSON answer has no keys step_01 to step_10")
    if any(map(_holds_half_a_character, (*texts, report or "", others))):
        raise LayoutError("the JSON answer holds half a character (a lone surrogate)")
    return Trace(
        steps=tuple(Step(number=int(key[5:]), text=_one_line(value)) for key, value in zip(steps, texts, strict=True)),
        report=report,
        layout="json",
        between=others,
        trailer=text[end:].strip(),
    )


def _holds_half_a_character(text: str) -> bool:
    return not text.isascii() and _SURROGATE.search(text) is not None


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object for `json.loads`, which by itself takes the last value of a key that stands twice.

    Raises:
        ValueError: a key stands in it twice.
    """
    if len(values := dict(pairs)) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{twice[:40]}' stands twice")
    return values


def _parse_tagged(text: str, *, escaped: bool) -> Trace:
    if escaped:
        text = unescape(text)
    opening = _TAGS["REASONING_10_STEPS"].search(text)
    assert opening is not None  # the caller saw it; unescaping keeps it
    closing = _TAGS["END_REASONS"].search(text, opening.end())
    report_tag = _TAGS["REPORT_VERBATIM"].search(text, (closing or opening).end())
    steps_end = next((tag.start() for tag in (closing, report_tag) if tag), len(text))
    inner = _parse_plain(text[opening.end() : steps_end])
    between = "" if closing is None else text[closing.end() : report_tag.start() if report_tag else len(text)]
    report, trailer = (None, "") if report_tag is None else _until_end_tag(text, min(report_tag.end() + 1, len(text)))
    return Trace(
        steps=inner.steps,
        report=report,
        layout="tagged",
        preamble=(text[: opening.start()] + inner.preamble).strip(),
        between=((inner.report or "") + between).strip(),
        trailer=trailer,
        escaped=escaped,
    )


def _until_end_tag(text: str, start: int) -> tuple[str, str]:
    """The report that begins at `start`, and what follows the last end tag: a report may quote the tag."""
    ends = list(_TAGS["END_REPORT"].finditer(text, start))
    if not ends:
        return text[start:], ""
    stop = ends[-1].start()
    return text[start : max(start, stop - 1)], text[
        ends[-1].end() :
    ].strip()  # the tag's line break is not the report's


def _parse_plain(text: str) -> Trace:
    lines = text.split("\n")
    numbers = [int(match[1]) if (match := _STEP_LINE.match(line)) else None for line in lines]
    first = next((at for at, number in enumerate(numbers) if number is not None), None)
    if first is None:
        return Trace(preamble=text.strip())
    starts, end = _step_starts(lines, numbers, first)
    rest = lines[end:] if end == len(lines) or lines[end].strip() else lines[end + 1 :]
    report = "\n".join(rest)
    return Trace(
        steps=tuple(_step(lines[start:stop]) for start, stop in pairwise([*starts, end])),
        report=report if report.strip() else None,
        preamble="\n".join(lines[:first]).strip(),
    )


def _step_starts(lines: list[str], numbers: list[int | None], first: int) -> tuple[list[int], int]:
    """The lines that open a step, and the line behind the last step."""
    last_line_of = {number: at for at, number in enumerate(numbers)}
    starts, expected = [first], (numbers[first] or 0) + 1
    gaps, at = 0, first + 1
    while at < len(lines):
        number = numbers[at]
        if not lines[at].strip():
            following = next((i for i in range(at, len(lines)) if lines[i].strip()), at)
            if numbers[following] != expected or (expected > STEPS and gaps < STEPS // 2):
                return starts, at
            gaps, at = gaps + 1, following
            continue
        if len(starts) == _MOST_STEPS:
            return starts, len(lines)
        if number is not None and (number == expected or not _was_wrapped(lines[at - 1])):
            starts.append(at)
            expected = number + 1
        elif _HEADER.match(lines[at]) and last_line_of.get(expected, -1) < at:
            return starts, at
        at += 1
    return starts, len(lines)


def _step(lines: list[str]) -> Step:
    opening = _STEP_LINE.match(lines[0])
    assert opening is not None  # that is how it was found
    return Step(number=int(opening[1]), text=_one_line("\n".join(lines)[opening.end() :]))


def _was_wrapped(line: str) -> bool:
    line = line.rstrip()
    return len(line) >= _WRAPPED and line[-1] not in ".?!:;"


def _one_line(text: str) -> str:
    """Join wrapped lines; leave everything else, odd spaces too, for the rules to see."""
    if "\n" not in text and "\r" not in text:
        return text.strip()
    return " ".join(stripped for line in re.split(r"[\r\n]+", text) if (stripped := line.strip()))
