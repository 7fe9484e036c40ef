"""Text that came from data, as HTML that does nothing: escaped, cut to a length, invisible characters made visible.

Everything a page shows of a report, an answer or a finding passes through here. The result holds no markup but
`<mark>`, `<sup>`, `<ins>`, `<del>` and `<span>`, never with an attribute whose value came from the data.
"""

import difflib
import html
import itertools
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from ...schemas.verdict import Severity

CUT = 6_000  # characters of one text that are shown
SEVERITIES: tuple[Severity, ...] = ("error", "doubt", "warning")  # the worst first
_AROUND = 90  # characters of an excerpt on either side of its mark
_DIFF = 400  # words: comparing takes quadratic time
# Controls, format characters (bidi, zero width, joiners), surrogates, line and paragraph separators
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CANDIDATES = re.compile(r"[^\x20-\x7e\n\t]")


class Mark(NamedTuple):
    """A span [start, end) of a text that finding number `number` is about; 0 is marked without a number."""

    start: int
    end: int
    severity: Severity
    number: int


def shown(text: str, cut: int = CUT) -> Markup:
    """The text as inert HTML; what is hidden, such as a bidi override, is named by its code point."""
    return Markup(_visible(text[:cut]) + _tail(text, cut))  # noqa: S704 - escaped by `_visible`


def marked(text: str, marks: Sequence[Mark], cut: int = CUT) -> Markup:
    """The same, with spans marked and numbered; overlapping spans share the worse severity. Empty spans are widened."""
    inside = [
        mark._replace(end=min(max(mark.end, mark.start + 1), cut))
        for mark in marks
        if 0 <= mark.start < min(len(text), cut)
    ]
    edges = sorted({0, min(len(text), cut), *(m.start for m in inside), *(min(m.end, len(text)) for m in inside)})
    parts = []
    for start, end in itertools.pairwise(edges):
        over = [mark for mark in inside if mark.start <= start and end <= mark.end]
        piece = _visible(text[start:end])
        if over:
            severity = min((mark.severity for mark in over), key=SEVERITIES.index)
            piece = f'<mark class="{severity}">{piece}</mark>'
        ending = [str(mark.number) for mark in inside if mark.number and min(mark.end, len(text)) == end]
        parts.append(piece + (f"<sup>{','.join(ending)}</sup>" if ending else ""))
    return Markup("".join(parts) + _tail(text, cut))  # noqa: S704 - each part is escaped by `_visible`


def excerpt(text: str, mark: Mark) -> Markup:
    """A marked span with its surroundings."""
    start, end = max(0, mark.start - _AROUND), min(len(text), max(mark.end, mark.start + 1) + _AROUND)
    moved = mark._replace(start=mark.start - start, end=mark.end - start)
    body = marked(text[start:end], [moved], cut=400)
    return ("… " if start else "") + body + (" …" if end < len(text) else "")


def differences(reference: str, written: str) -> Markup | None:
    """A report with what differs from the reference marked by word, or none where it is too long to compare."""
    old, new = (re.findall(r"\s+|\S+", text) for text in (reference, written))
    if max(len(old), len(new)) > 2 * _DIFF or max(len(reference), len(written)) > CUT:
        return None
    parts = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, came = _visible("".join(old[a:b])), _visible("".join(new[c:d]))
        if kind == "equal":
            parts.append(came)
            continue
        parts += [f"<del>{gone}</del>"] if gone.strip() else []
        parts += [f"<ins>{came}</ins>"] if came.strip() else [came]
    return Markup("".join(parts))  # noqa: S704 - each part is escaped by `_visible`


def _tail(text: str, cut: int) -> str:
    if len(text) <= cut:
        return ""
    return f' <span class="cut">[cut here: {cut:,} of {len(text):,} characters are shown]</span>'


def _visible(text: str) -> str:
    return _CANDIDATES.sub(_name, html.escape(text.replace("\r\n", "\n")))


def _name(match: re.Match[str]) -> str:
    char = match[0]
    if unicodedata.category(char) not in _HIDDEN:
        return char
    name = html.escape(unicodedata.name(char, "control character").lower())
    return f'<span class="hidden-char" title="{name}">U+{ord(char):04X}</span>'
