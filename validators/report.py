"""Report: what follows the steps is the report that was requested, once, and nothing else.

Three situations, distinguished by the candidate alone:

    writes_report is false      we append the reference ourselves; a report written anyway is an error
    a teacher writes it         it knows the reference and must copy it byte for byte, line endings and outer
                                white space ignored: the reference is sacred
    a student writes it         it has seen the image only; its report is its own reading and is compared with
                                the reference by metrics, never by this rule. It must be there, once.

The four headers of a report have a rule of their own, `headers`.
"""

import re
from collections.abc import Iterator, Mapping

from ..schemas.candidate import Candidate
from ..schemas.study import Study
from ..schemas.verdict import Finding, Severity
from .rule import REFERENCE, Case, Finder, Group, ten, trace_of

GROUP: Group = "report"
CODES: Mapping[str, Severity] = {
    "report_not_asked": "error",
    "report_missing": "error",
    "report_repeated": "error",
    "text_before_report": "error",
    "text_after_report": "error",
    "report_changed": "error",
}
find = Finder(__name__, CODES)


def rule(study: Study, candidate: Candidate) -> Iterator[Finding]:
    """A report that is missing, not requested, repeated, surrounded or changed."""
    written = _plain(trace_of(candidate).report or "")
    if not candidate.writes_report:
        if written:
            yield find(
                "report_not_asked", f"Stop after step 10; the report is added for you. Leave out {written[:60]!r}."
            )
    elif not written:
        yield find("report_missing", "There is no report behind the steps; write a blank line and then the report.")
    elif candidate.author == "student":
        if _is_doubled(written):
            yield find("report_repeated", "The report stands twice; write it once and stop.")
    else:
        yield from _compare(written, _plain(study.report), candidate)


def _compare(written: str, reference: str, candidate: Candidate) -> Iterator[Finding]:
    if written == reference:
        return
    before, found, after = written.partition(reference)
    if not found:
        yield _changed(written, reference, candidate)
        return
    if reference in after:
        yield find("report_repeated", "The report stands more than once; write it once and stop.")
        return
    if before:
        yield find(
            "text_before_report", f"Begin the report with its own first word; leave out {before.strip()[:60]!r}."
        )
    if after:
        yield find("text_after_report", f"Stop where the report ends; leave out {after.strip()[:60]!r}.")


def _changed(written: str, reference: str, candidate: Candidate) -> Finding:
    at = _common_prefix(written, reference)
    here, there = (text[max(0, at - 15) : at + 30] for text in (written, reference))
    message = (
        f"The report must be the reference, byte for byte; at character {at + 1} it has {here!r} "
        f"where the reference has {there!r}."
    )
    start = candidate.text.find(written)  # nowhere if line endings differ or JSON escapes stand between
    return find(
        "report_changed",
        message,
        span=None if start < 0 else (start + at, start + len(written)),
        evidence=reference[reference.rfind("\n", 0, at) + 1 :].partition("\n")[0],
    )


def _plain(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text).strip()


def _common_prefix(one: str, other: str) -> int:
    """Characters that both share from the start; by halving, since a comparison of slices is fast and a loop is not."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _is_doubled(text: str) -> bool:
    """The same lines twice, ignoring blank ones."""
    lines = [stripped for line in text.split("\n") if (stripped := line.strip())]
    half, odd = divmod(len(lines), 2)
    return not odd and lines[:half] == lines[half:]


_OWN = """\
Technique: Chest.
View: AP
Findings: A small left pleural effusion.
Impression: Left effusion."""

PASSES = (
    Case(ten()),
    Case(ten(report=None), writes_report=False),
    Case(ten(report=REFERENCE.replace("\n", "\r\n") + " \r\n\r\n")),
    Case(ten(report="Normal."), reference="  Normal.\n", form="verbatim"),
    Case(ten(report=_OWN), author="student"),
    Case(ten(report="Heart: normal.\nLungs: clear."), author="student", form="verbatim"),
)
FAILS = (
    Case(ten(), "report_not_asked", writes_report=False),
    Case(f"{ten(report=None)}\n\nAll in all a normal chest.", "report_not_asked", writes_report=False),
    Case(ten(report=None), "report_missing"),
    Case(ten(report=None), "report_missing", author="student"),
    Case(ten(report=f"{REFERENCE}\n\n{REFERENCE}"), "report_repeated"),
    Case(ten(report=f"{_OWN}\n\n{_OWN}"), "report_repeated", author="student"),
    Case(ten(report=f"Report:\n{REFERENCE}"), "text_before_report"),
    Case(ten(report=f"{REFERENCE}\nSigned by the reader."), "text_after_report"),
    Case(ten(report=REFERENCE.replace("normal in size", "normal")), "report_changed"),
    Case(ten(report=REFERENCE.replace("No pleural", "no pleural")), "report_changed"),
    Case(ten(report=REFERENCE[:-1]), "report_changed"),
    Case(ten(report=REFERENCE.replace("\nView", "\n\nView")), "report_changed"),
    Case(ten(report=_OWN), "report_changed"),
)
