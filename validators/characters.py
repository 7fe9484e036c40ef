"""Characters: what does not belong in a line of English prose.

It protects against text that looks right and is not: control, zero-width and bidirectional characters, letters of other
alphabets that look like Latin ones, full-width forms, private-use characters; and against residue of markup: markdown
escapes (defect D1 of docs/explanation/seed.md), emphasis, HTML entities and tags, literal "\\n". Offsets are of the
first such place in a step.

On 20,702 sentences of real reports (Open-i), used as steps: 3 findings, all of them residue ("<BR>").
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .rule import Case, Finder, Group, ten
from .steps import steps_of, tokens

GROUP: Group = "form"
CODES: Mapping[str, Severity] = {
    "control_character": "error",
    "lookalike_character": "error",
    "escape_residue": "error",
    "markup": "error",
}
find = Finder(__name__, CODES)

# compiled when the first text comes that may hold one
_CONTROL = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\ufff0-\uffff\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
# Cyrillic, Greek, Armenian or Cherokee next to a Latin letter; combining marks; full-width and styled forms
_LOOKALIKE = (
    r"[A-Za-z][\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u13a0-\u13ff\u0300-\u036f]"
    r"|[\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u13a0-\u13ff][A-Za-z]|[\uff01-\uff5e]"
    r"|[\U0001d400-\U0001d7ff]|[\u2100-\u214f\u24b6-\u24e9\ua730-\ua7ff\ufb00-\ufb06\u1d00-\u1d7f]|\b[\u0430\u0435\u043e\u0440\u0441\u0445\u0456\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425]\b|[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f]"
)
_ESCAPE = (
    r"(?i)\\[_*<>\[\]#`~.()!+|{}\-]|&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,6});|\\[nrt](?![a-z])|\\u[0-9a-f]{4}"
    r"|\\n(?=[A-Z0-9])"
)
_MARKUP = (
    r"(?i)\*\*|__(?=\w)|(?<![\w*])\*(?=\w)[^*\n]{1,80}\*(?!\w)|`|^\s{0,3}#{1,6}\s"
    r"|</?[a-z][a-z0-9]{0,9}(?:\s[^<>\n]{0,80})?/?>|<<|>>|\]\(|\$\$|~~"
)

_MARKS = frozenset("*_`#<>]$~")


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """The first place of each kind in each step."""
    for position, text in steps_of(candidate):
        if not text.isascii() or not text.isprintable():
            match = re.search(_CONTROL, text)
            if match:
                yield find(
                    "control_character",
                    f"U+{ord(match.group()):04X} is invisible or controls layout; leave it out.",
                    step=position,
                    span=match.span(),
                )
            match = re.search(_LOOKALIKE, text)
            if match:
                yield find(
                    "lookalike_character",
                    f"{match.group()!r} only looks like plain letters; type them plainly.",
                    step=position,
                    span=match.span(),
                )
        match = re.search(_ESCAPE, text) if "\\" in text or "&" in text else None
        if match:
            yield find(
                "escape_residue",
                f"{match.group()!r} is residue of an escape; write the character itself.",
                step=position,
                span=match.span(),
            )
        match = re.search(_MARKUP, text) if not _MARKS.isdisjoint(tokens(text)) else None
        if match:
            yield find("markup", f"{match.group()!r} is markup; write plain text.", step=position, span=match.span())


PASSES = (Case(ten()), Case(ten({3: "The cardiothoracic ratio (heart/thorax) is < 0.5, i.e. normal – naïve or not."})))
FAILS = (
    Case(ten({3: "The heart\u200b is normal in size."}), "control_character"),
    Case(ten({3: "The he\u0430rt is normal in size."}), "lookalike_character"),
    Case(ten({3: "The heart is normal in size\\_."}), "escape_residue"),
    Case(ten({3: "The heart &amp; vessels are normal."}), "escape_residue"),
    Case(ten({3: "The **heart** is normal in size."}), "markup"),
    Case(ten({3: "The <b>heart</b> is normal in size."}), "markup"),
)
