"""Headers: a four-header report has Technique, View, Findings and Impression, in this order, each once, with content.

It protects the form that the data set declared; studies whose form is `verbatim` are left alone, and so are
candidates that were not asked for a report. Teachers and students are held to it alike. What the reference itself
leaves empty, spells otherwise or has besides the four is not held against its copy.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .rule import REFERENCE, Case, Finder, Group, ten, trace_of

GROUP: Group = "report"
CODES: Mapping[str, Severity] = {
    "header_missing": "error",
    "header_repeated": "error",
    "header_order": "error",
    "header_extra": "error",
    "header_empty": "error",
    "header_spelling": "error",
    "text_before_headers": "error",
}
find = Finder(__name__, CODES)

HEADERS = ("Technique", "View", "Findings", "Impression")
_OTHERS = (
    "indications?|comparisons?|history|clinical (?:history|information|indication|data)"
    "|reason for (?:exam|examination|study)"
    "|procedure|exam|examination|recommendations?|conclusions?|summary|opinion|addendum|final report|report"
)
# Marks and spaces in one bounded class: two unbounded runs side by side would make a line of spaces quadratic.
_LINE = re.compile(
    rf"^[ \t*#_]{{0,12}}(techniques?|views?|findings?|impressions?|{_OTHERS})[ \t*_]{{0,8}}:[*_]{{0,4}}", re.I | re.M
)
_MANY = 40  # headers to look at; a report with more repeats them anyway
_CONTENT = re.compile(r"[^\W_]")


class Section(NamedTuple):
    """One header of a report and what stands below it."""

    name: str  # capitalised; one of HEADERS in its own spelling, or another section's name
    written: str  # the header as it stands, with marks and colon
    has_content: bool


def sections(report: str) -> tuple[str, list[Section]]:
    """The text before the first header, and the report's sections in order."""
    lines = list(islice(_LINE.finditer(report), _MANY))
    starts = [*(line.start() for line in lines), len(report)]
    found = [
        Section(_name(line[1]), line[0], _CONTENT.search(report, line.end(), end) is not None)
        for line, end in zip(lines, starts[1:], strict=True)
    ]
    return report[: starts[0]], found


def _name(written: str) -> str:
    name = written.capitalize()
    return (
        name
        if name in HEADERS
        else next((header for header in HEADERS if header.rstrip("s") == name.rstrip("s")), name)
    )


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """Headers that are missing, repeated, out of order, unknown, empty or spelled otherwise."""
    report = trace_of(candidate).report
    if study.report_form != "four-header" or not candidate.writes_report or not (report and report.strip()):
        return
    before, found = sections(report)
    names = [section.name for section in found]
    if found and before.strip() and candidate.author == "student":  # a teacher's is seen by comparison
        yield find("text_before_headers", f"Open the report with 'Technique:'; leave out {before.strip()[:60]!r}.")
    for header in HEADERS:
        if header not in names:
            yield find("header_missing", f"The report lacks the section '{header}:' on a line of its own.")
        elif names.count(header) > 1:
            yield find("header_repeated", f"'{header}:' stands {names.count(header)} times; write each header once.")
    order = [name for name in dict.fromkeys(names) if name in HEADERS]
    if order != [header for header in HEADERS if header in names]:
        yield find("header_order", f"The headers stand as {', '.join(order)}; the order is {', '.join(HEADERS)}.")
    yield from _unlike_reference(found, study)


def _unlike_reference(found: list[Section], study: Study) -> Iterator[Finding]:
    """Faults that a copy may have from its reference."""
    odd = [
        section for section in dict.fromkeys(found) if section.written != f"{section.name}:" or not section.has_content
    ]
    extra = dict.fromkeys(section.name for section in found if section.name not in HEADERS)
    if not odd and not extra:
        return
    _, reference = sections(study.report)
    for section in odd:
        if section.name not in HEADERS or section in reference:
            continue
        if section.written != f"{section.name}:":
            yield find("header_spelling", f"Write '{section.name}:' and not {section.written!r}.")
        if not section.has_content:
            yield find("header_empty", f"Nothing stands below '{section.name}:'; say what there is to say.")
    for name in extra:
        if name not in [section.name for section in reference]:
            yield find("header_extra", f"'{name}:' is none of the four headers; leave it out.")


PASSES = (
    Case(ten()),
    Case(ten(), author="student"),
    Case(ten(report=None), writes_report=False),
    Case(ten(report="Clear lungs."), reference="Clear lungs.", form="verbatim"),
    Case(ten(report=REFERENCE.replace("Impression: ", "Impression:\n1. Clear.\n2. "))),
    Case(ten(report=REFERENCE.replace("The lungs", "\nLungs: The lungs"))),
    Case(ten(report=REFERENCE.replace(" PA", "")), reference=REFERENCE.replace(" PA", "")),
    Case(ten(report=f"{REFERENCE}\nComparison: None."), reference=f"{REFERENCE}\nComparison: None."),
)
FAILS = (
    Case(ten(report=REFERENCE.replace("View: PA\n", "")), "header_missing", author="student"),
    Case(ten(report="The lungs are clear."), "header_missing", author="student"),
    Case(ten(report=f"{REFERENCE}\nView: PA"), "header_repeated", author="student"),
    Case(ten(report="View: PA\n" + REFERENCE.replace("View: PA\n", "")), "header_order"),
    Case(ten(report=f"{REFERENCE}\nComparison: None."), "header_extra", author="student"),
    Case(ten(report=REFERENCE.replace(" PA", "")), "header_empty", author="student"),
    Case(ten(report=REFERENCE.replace("Findings:", "FINDINGS:")), "header_spelling"),
    Case(ten(report=REFERENCE.replace("Findings:", "**Findings:**")), "header_spelling", author="student"),
    Case(ten(report=f"Normal chest.\n{REFERENCE}"), "text_before_headers", author="student"),
)
