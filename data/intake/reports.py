"""Report text: decoding it, finding its sections, and composing the reference in the form that was chosen.

Two forms, chosen once for a whole ingest:

    four-header   Technique: ...\\nView: ...\\nFindings: ...\\nImpression: ...
                  composed from the sections, each on one line; a text that already has exactly these four
                  headers in this order, each with something under it, is kept byte for byte
    verbatim      the source's own text, byte for byte

Findings and impression are never made up: without one of them there is no four-header reference, and the
row is rejected (`no_findings`, `no_impression`), unless the caller allows it; then the header is followed by
`Not reported.`. Technique and view may be absent from a source; then the text says no more than is known
(`Chest radiograph.`, the view inventory or `unknown`).
"""

import re
from collections.abc import Container, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from ...schemas.layout import parse
from ...schemas.study import ReportForm, Sections
from ...schemas.trace import STEPS
from ..ids import MISSING_WORDS, is_missing

MAX_REPORT = 100_000  # characters; the longest real reports have some 10,000
FOUR_HEADERS = ("Technique", "View", "Findings", "Impression")
DERIVED_TECHNIQUE = "Chest radiograph."
NOT_REPORTED = "Not reported."
UNKNOWN_VIEW = "unknown"

# The header names in common use; the rules of one particular source belong to that source.
_NAMES = {
    "technique": "technique", "procedure": "technique", "view": "view", "views": "view", "projection": "view",
    "findings": "findings", "finding": "findings", "impression": "impression", "conclusion": "impression",
    "indication": "indication", "indications": "indication", "reason for exam": "indication",
    "reason for examination": "indication", "comparison": "comparison", "comparisons": "comparison",
    "history": "history", "clinical history": "history", "clinical information": "history",
}  # fmt: skip
_UNREAD = ("examination", "exam", "addendum", "recommendation", "recommendations", "notification", "final report")
_NAME = "|".join(sorted((*_NAMES, *_UNREAD), key=len, reverse=True))
_HEADER = re.compile(rf"(?im)^[ \t]*({_NAME})[ \t]*:")
# Inside a line, a header is one behind a sentence, or in capitals behind words that are not.
_INLINE = re.compile(  # what stands before its colon
    rf"(?:(?<=[.!?;:)\]])[ \t]+(?=[A-Z])((?i:{_NAME}))|(?<=[a-z0-9,.])[ \t]+({_NAME.upper()}))[ \t]*$"
)
_WORDS = "|".join(map(re.escape, sorted(MISSING_WORDS)))
_NOTHING = re.compile(  # headers, and under them nothing but words for a missing value
    rf"(?i)[\W_]*+(?:(?:{_NAME})[ \t]*+:[\W_]*+(?:(?:{_WORDS})(?!\w)[\W_]*+)?)+"
)
_BEFORE_COLON = 48  # characters: the longest name, and blanks around it
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # all but tab and line ends
_VIEW = re.compile(r"\b(?:(PA|AP)|(?i:(frontal))|(?i:(lateral))|(LAT))\b")
_VIEW_ORDER = ("PA", "AP", "frontal", "lateral")
_OF_OTHERS = ("findings", "impression", "comparison", "history", "indication")  # sections that may name other films


class Refusal(NamedTuple):
    """Why something cannot be used: a code that is counted, and what was seen."""

    reason: str
    detail: str


class SplitText(NamedTuple):
    """A text split into reasoning and report."""

    report: str
    has_steps: bool
    warning: tuple[str, str] | None = None  # code and detail: that steps were taken off, or look as if there were some


def decode(data: bytes) -> str | Refusal:
    """The text of a report file: UTF-8, with or without a byte order mark. Nothing else is changed."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Refusal("bad_encoding", f"not UTF-8 at byte {error.start}; save the text as UTF-8")
    return text


def usable(text: str) -> Refusal | None:
    """Why a text cannot be a reference, if it cannot."""
    if is_empty(text):
        return Refusal("empty_report", "the report has no text")
    if len(text) > MAX_REPORT:
        return Refusal("long_report", f"{len(text):,} characters; a report has at most {MAX_REPORT:,}")
    if odd := _CONTROL.search(text):
        return Refusal("bad_characters", f"the text holds the control character U+{ord(odd[0]):04X}")
    return None


def reference(
    text: str, sections: Sections, views: Iterable[str], form: ReportForm, allowed: Container[str] = ()
) -> str | Refusal:
    """The reference in the chosen form, or why there is none; `allowed` as in `compose`. The text must be `usable`."""
    if form == "verbatim":
        if _NOTHING.fullmatch(text):
            return Refusal("empty_report", "no section of the report has any text")
        return text
    if has_four_headers(text):
        return text
    return compose(sections, views, allowed)


def compose(sections: Sections, views: Iterable[str], allowed: Container[str] = ()) -> str | Refusal:
    """The four-header reference of these sections; white space within one is collapsed to keep it on one line.

    A view section comes before the view inventory, which stands in for it. Of findings and impression one may be
    absent if it is `allowed`, but never both: then there is no report.
    """
    findings, impression = sections.findings, sections.impression
    if not findings and ("findings" not in allowed or not impression):
        return _lacking("findings")
    if not impression and ("impression" not in allowed or not findings):
        return _lacking("impression")
    values = (
        sections.technique or DERIVED_TECHNIQUE,
        sections.view or describe_views(views),
        findings or NOT_REPORTED,
        impression or NOT_REPORTED,
    )
    return "\n".join([f"{name}: {' '.join(value.split())}" for name, value in zip(FOUR_HEADERS, values, strict=True)])


def _lacking(name: str) -> Refusal:
    detail = f"the source has no {name}, which the four-header form needs; --form verbatim does without"
    return Refusal(f"no_{name}", detail)


def has_four_headers(text: str) -> bool:
    """Whether a text is in the four-header form: these headers, in this order, once each, none of them empty."""
    if not text.lstrip().startswith(FOUR_HEADERS[0]):  # so for nearly all reports
        return False
    parts = _parts(text, inline=False)
    return tuple(name for name, _ in parts) == FOUR_HEADERS and all(not is_empty(body) for _, body in parts)


def find_sections(text: str, *, empty: bool = False) -> Sections:
    """The sections of a report by their headers, which end in a colon; of two alike, the last one.

    A header opens a line, or stands behind a sentence (`FINDINGS: Clear. IMPRESSION: Normal.` are two sections).

    Args:
        text: the report.
        empty: also those that only hold a word for a missing value.
    """
    known = ((_NAMES.get(name.lower()), body) for name, body in _parts(text))
    return Sections(**{name: body for name, body in known if name and (body if empty else not is_empty(body))})


def is_empty(text: str) -> bool:
    """Whether a cell, a section or a report says nothing: no letter or digit, or a word for a missing value."""
    if len(text) > 20 and text[0].isalpha():  # so nearly all
        return False
    return is_missing(text) or not any(map(str.isalnum, text))


def without_empty(sections: Sections) -> Sections:
    """The sections that say something."""
    empty = [name for name, body in vars(sections).items() if body and is_empty(body)]
    return sections.model_copy(update=dict.fromkeys(empty)) if empty else sections


def view_words(text: str) -> str:
    """The words of a report that may name its own views: its title, technique, views and examination."""
    own = [_before_headers(text)]
    own += [body for name, body in _parts(text) if _NAMES.get(name.lower(), name) not in _OF_OTHERS]
    return " ".join(own) if own[0] or len(own) > 1 else ""


def _before_headers(text: str) -> str:
    """What stands before the first header; nothing in a text without headers, whose words may be about anything."""
    found = _HEADER.search(text)
    starts = [*((found.start(),) if found else ()), *(start for start, _, _ in islice(_inline(text), 1))]
    return text[: min(starts)].strip() if starts else ""


def _inline(text: str) -> Iterator[tuple[int, int, str]]:
    """Headers inside lines: where the blanks before each begin, where its colon ends, and its name."""
    colon = text.find(":")
    while colon >= 0:
        start = max(0, colon - _BEFORE_COLON)
        if (match := _INLINE.search(text[start:colon])) is not None:
            yield start + match.start(), colon + 1, match[1] or match[2]
        colon = text.find(":", colon + 1)


def _parts(text: str, *, inline: bool = True) -> list[tuple[str, str]]:
    """The headers of a text as they are written, each with what stands under it."""
    found = [(match.start(), match.end(), match[1]) for match in _HEADER.finditer(text)]
    if inline:
        found = sorted((*found, *_inline(text)))
    ends = [*(start for start, _, _ in found), len(text)][1:]
    return [(name, text[stop:end].strip()) for (_, stop, name), end in zip(found, ends, strict=True)]


def join_sections(sections: Iterable[tuple[str, str]]) -> str:
    """A text for a source that keeps sections and no whole: `LABEL: text` lines with a blank line between."""
    return "\n\n".join(f"{label}: {body}" for label, body in sections)


def views_in(text: str) -> tuple[str, ...]:
    """The views that a caption or header names: PA, AP, frontal (if neither), lateral. Empty if it names none."""
    named = {found[1] or (found[2] and "frontal") or "lateral" for found in _VIEW.finditer(text)}
    if named & {"PA", "AP"}:
        named.discard("frontal")
    return tuple(name for name in _VIEW_ORDER if name in named) if named else ()


def describe_views(views: Iterable[str]) -> str:
    """The view inventory in words: `PA`, `PA and lateral`, `unknown`."""
    known = [view for view in dict.fromkeys(views) if view != UNKNOWN_VIEW]
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known) or UNKNOWN_VIEW


def split_steps(text: str) -> SplitText:
    """Separate a report from steps that stand before it, in one of the layouts of schemas/layout.py.

    A tagged text is split at its tags. A plain one only if steps 1 to 10, and no others, come first and something
    follows: any other numbered list at the top of a report is part of the report. Either gives a warning.
    """
    if text.lstrip().startswith("{"):  # a report is text; answers in JSON are not a layout of stored reports
        return SplitText(text, False)
    trace = parse(text)
    if trace.report is None or is_empty(trace.report) or _HEADER.search(trace.preamble):
        return SplitText(text, False)
    count = len(trace.steps)
    if trace.layout == "tagged" or [step.number for step in trace.steps] == list(range(1, STEPS + 1)):
        return SplitText(trace.report, True, ("steps_taken_off", f"{count} steps before the report were taken off it"))
    if count > STEPS // 2:
        detail = f"{count} numbered lines come first; they are not steps 1 to {STEPS}, so they are part of the report"
        return SplitText(text, False, ("numbered_report", detail))
    return SplitText(text, False)
