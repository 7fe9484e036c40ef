r"""Layouts that are not ours: reasoning in anybody's form, split into steps or sentences and a report.

    think      <think>...</think> answer, also with a bare </think>, <reasoning>, <thought>, <scratchpad>, ...
    tags       LLaVA-CoT: <SUMMARY> <CAPTION> <REASONING> <CONCLUSION>; and <answer>
    step_word  lines that open with "Step 3:", "### Step 3", "**Step 3**"
    numbered   lines that open with 3) (3) [3] 3: 3/10 **3.** "3." and a no-break space, keycaps, circled digits
    bullets    lines that open with - * + or a bullet sign
    prose      sentences

Inside think and tags the reasoning is in one of the other forms; what a step holds over several lines, and lists that
are indented within it, belong to it. A heading between bullets ("**Lungs:**") is what the bullets below it are about,
and stands before each of them. It knows text. It judges nothing: that a layout is not ours is `structure`'s.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from ...validators.findings.text import sentences

LayoutName = Literal["think", "tags", "step_word", "numbered", "bullets", "prose"]
Kind = Literal["steps", "bullets", "sentences"]

_KINDS: Mapping[LayoutName, Kind] = {"bullets": "bullets", "prose": "sentences"}

_THINK = r"(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|rationale)"
_BEGIN = re.compile(rf"<({_THINK})>", re.I)
_BARE_END = re.compile(rf"</{_THINK}>", re.I)
_TAGGED = re.compile(r"<(SUMMARY|CAPTION|REASONING|CONCLUSION)>(?P<inside>.*?)(?:</\1>|\Z)", re.I | re.S)
_ANSWER = re.compile(r"<(answer|report)>(?P<inside>.*?)(?:</\1>|\Z)", re.I | re.S)
_BLANK = r"[ \t\u00a0\u2007\u202f]"
_OPENINGS: tuple[tuple[LayoutName, re.Pattern[str]], ...] = (
    (
        "step_word",
        re.compile(
            rf"{_BLANK}*[#*_> ]{{0,8}}step{_BLANK}{{1,4}}\d{{1,3}}\b[*_]*{_BLANK}*[:.)\u2013\u2014-]*[*_]*{_BLANK}*",
            re.I,
        ),
    ),
    (
        "numbered",
        re.compile(
            rf"{_BLANK}*[#*_>\u200b\ufeff]{{0,4}}{_BLANK}*(?:\(\d{{1,3}}\)|\[\d{{1,3}}\]|\d{{1,3}}/\d{{1,3}}[.:)]?(?=\s)"
            rf"|\d{{1,3}}\ufe0f?\u20e3\.?|[\u2460-\u249b]|\d{{1,3}}(?:\\?\.(?!\d)|[):])(?=[\s*_]|[A-Za-z]))[*_]*{_BLANK}*"
        ),
    ),
    ("bullets", re.compile(rf"{_BLANK}*[-*+\u2022\u2023\u25e6\u2013]{_BLANK}+")),
)  # fmt: skip
_REPORT = re.compile(
    r"^[ \t*#_]{0,8}(?:technique|view|findings|impression|(?:final )?(?:report|answer))[ \t*_]{0,4}(?::|$)", re.I | re.M
)
_ANSWER_WORD = re.compile(r"\A[ \t*#_]{0,8}(?:(?:final )?(?:report|answer))[ \t*_]{0,4}:?[*_]*\s*", re.I)
# a line of a few words that is marked, or ends in a colon
_HEADING = re.compile(
    r"[ \t]*(?:#{1,6}[ \t]+[*_]{0,3}|(?P<mark>\*\*|__)|(?=[^\n]*:[ \t]*$))(?P<words>[^\s.!?;:*_#][^.!?;:*_#\n]{0,60}?)"
    r"[ \t]*:?[ \t]*(?(mark)(?P=mark)|[*_]{0,3})[ \t]*:?[ \t]*"
)
_INDENT = re.compile(r"[ \t]*")
_MOST = 400  # steps or sentences of one trace; what comes later is not read


class ParsedLayout(NamedTuple):
    """A trace in another layout."""

    layout: LayoutName
    preamble: str  # what stands before the first step, and belongs to none
    units: tuple[str, ...]  # steps or sentences, each on one line
    report: str | None
    kind: Kind  # of the units


def read_layout(text: str, layout: LayoutName | None = None, answer: str | None = None) -> ParsedLayout:
    """Split a text into its parts.

    Args:
        text: reasoning and report, or the reasoning alone where an answer is given.
        layout: what it is known to be; found out if not given.
        answer: the report, where it is kept in a place of its own.
    """
    outer, reasoning, report = _outer(text) if layout in (None, "think", "tags") else (None, text, None)
    if answer is not None:
        report = answer
    elif outer is None:
        reasoning, report = _cut_report(reasoning)
    inner: LayoutName
    inner, preamble, units = _units(reasoning, layout if layout not in ("think", "tags") else None)
    report = _ANSWER_WORD.sub("", report).strip() if report else ""
    return ParsedLayout(outer or inner, preamble, tuple(units[:_MOST]), report or None, _KINDS.get(inner, "steps"))


def _outer(text: str) -> tuple[LayoutName | None, str, str | None]:
    """The frame of tags, the reasoning in it, and what is the answer."""
    parts = {match[1].lower(): match["inside"] for match in _TAGGED.finditer(text)}
    if len(parts) > 1:
        report = parts.pop("conclusion", None)
        return "tags", "\n".join(parts.values()), report
    answer = _ANSWER.search(text)
    thoughts = list(_thoughts(text))
    if thoughts:
        rest = answer["inside"] if answer is not None else text[thoughts[0][1] :]
        return "think", "\n".join(inside for inside, _ in thoughts), rest
    end = _BARE_END.search(text)
    if end is not None:
        return "think", text[: end.start()], answer["inside"] if answer is not None else text[end.end() :]
    if answer is not None:
        return "tags", text[: answer.start()], answer["inside"]
    return None, text, None


def _thoughts(text: str) -> Iterator[tuple[str, int]]:
    """What stands in each pair of tags, and where the pair ends. A tag that is never closed is looked for once."""
    at, unclosed = 0, set[str]()
    while (begin := _BEGIN.search(text, at)) is not None:
        at, name = begin.end(), begin[1].lower()
        end = None if name in unclosed else re.compile(f"</{name}>", re.I).search(text, at)
        if end is None:
            unclosed.add(name)
        else:
            yield text[at : end.start()], end.end()
            at = end.end()


def _cut_report(text: str) -> tuple[str, str | None]:
    """The reasoning, and the report behind it: what opens with a report's heading, below something else."""
    for match in _REPORT.finditer(text):
        if text[: match.start()].strip():
            return text[: match.start()], text[match.start() :]
    return text, None


def _units(text: str, layout: LayoutName | None) -> tuple[LayoutName, str, list[str]]:
    lines = [line for line in text.split("\n") if line.strip()]
    if layout != "prose":
        for name, opening in _OPENINGS:
            if layout is not None and name != layout:
                continue
            at = [n for n, line in enumerate(lines) if opening.match(line)]
            if at:  # lists that are indented below the first are parts of a step
                least = min(_indent(lines[n]) for n in at)
                at = [n for n in at if _indent(lines[n]) <= least + 1]
            if len(at) < 2:
                continue
            parts = [lines[start:end] for start, end in zip(at, [*at[1:], len(lines)], strict=True)]
            before, headings = lines[: at[0]], [""] * len(parts)
            if name == "bullets":
                headings = _headings([before, *parts])
            units = [
                _one_line([heading, opening.sub("", first, count=1), *more])
                for heading, (first, *more) in zip(headings, parts, strict=True)
            ]
            return name, _one_line(before), [unit for unit in units if unit]
    flat = "\n".join(lines)
    return "prose", "", [_one_line([flat[start:end]]) for start, end in sentences(flat)]


def _headings(parts: list[list[str]]) -> list[str]:
    """Cut the headings that stand at the end of each part, and say below which one each part but the first stands."""
    heading, found = "", []
    for part in parts[:-1]:
        cut = []
        while part and (match := _HEADING.fullmatch(part[-1])):
            cut.append(match["words"])
            part.pop()
        heading = f"{': '.join(reversed(cut))}:" if cut else heading
        found.append(heading)
    return found


def _indent(line: str) -> int:
    found = _INDENT.match(line)
    return len(found[0].expandtabs(4)) if found else 0


def _one_line(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())
