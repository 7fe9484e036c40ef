r"""The sections of a MIMIC-CXR report, as the official rules find them (MIT-LCP/mimic-cxr at 3190146, txt/).

A header is capitals and a colon behind a line break and one blank. What stands before the first is `preamble`; a
text without any is one `full report`. Under a header the search goes on at the end of its line. Empty findings and
impressions do not count; where neither is left, the last section's text from its first empty line (a blank between
two line breaks) on is `last_paragraph`. Of sections of one name the last counts.

54 studies are sectioned by hand there (mimic_tables.py): 23 have their conclusion under another header, 23 in a
range of characters, 8 have none. The official table of sections leaves all 54 out; `override` gives what the
official conclusions say of them.
"""

import re
from pathlib import PurePath
from typing import NamedTuple

from .mimic_tables import MISNAMED, RANGES, SECTION_OF, VIEW_PHRASES, WITHIN, WITHOUT_FINDINGS

MAIN = ("impression", "findings", "last_paragraph", "comparison")

_HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
_VIEWS = re.compile("|".join(map(re.escape, VIEW_PHRASES)))
_EMPTY_LINE = "\n \n"


class Override(NamedTuple):
    """A study that is sectioned by hand: how, and its conclusion; none if it has none."""

    rule: str
    conclusion: str | None


def sections_of(text: str) -> dict[str, str]:
    """Section texts by name, without outer white space, in the order of the report."""
    return {name: body.strip() for name, body in _split(_plain(text))}


def headers_of(text: str) -> list[str]:
    """The headers as they are written, in order."""
    return [header[1] for header in _headers(_plain(text))]


def override(study: str, text: str) -> Override | None:
    """The official hand-made sectioning of a study, e.g. `s50913680`; none for all but 54."""
    text = _plain(text)
    if study in WITHOUT_FINDINGS:
        return Override("the official rules find no findings in this report", None)
    if study in RANGES:
        start, end = RANGES[study]
        return Override(f"characters {start} to {end} are the conclusion", text[start:end].strip() or None)
    if study in MISNAMED:
        name = MISNAMED[study]
        return Override(f"the section '{name}' is the conclusion", dict(_split(text)).get(name, "").strip() or None)
    return None


def study_of(path: str | PurePath) -> str:
    """`files/p10/p10000032/s50414267.txt` to `s50414267`."""
    return PurePath(path).name.partition(".")[0]


def _plain(text: str) -> str:
    """The official script opens files as text, which turns every line end into a line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _headers(text: str) -> list[re.Match[str]]:
    headers: list[re.Match[str]] = []
    at = 0
    while (found := _HEADER.search(text, at)) is not None:
        headers.append(found)
        at = text.find("\n", found.end())
        if at < 0:
            at = found.end()
    return headers


def _split(text: str) -> list[tuple[str, str]]:
    headers = _headers(text)
    if not headers:
        parts = [("full report", text)]
    else:
        ends = [*(header.start() for header in headers[1:]), len(text)]
        parts = [("preamble", text[: headers[0].start(1)])]
        parts += [(_name(h[1]), text[h.end() : end]) for h, end in zip(headers, ends, strict=True)]
    parts = [(name, body) for name, body in parts if name not in ("impression", "findings") or body.strip()]
    if not {"impression", "findings"} & {name for name, _ in parts}:
        name, body = parts[-1]
        first, gap, rest = body.partition(_EMPTY_LINE)
        if gap:
            parts[-1:] = [(name, first), ("last_paragraph", rest)]
    return parts


def _name(header: str) -> str:
    name = header.lower().strip()
    if (known := SECTION_OF.get(name)) is not None:
        return known
    return next((main for main in WITHIN if main in name), "findings" if _VIEWS.search(name) else name)
