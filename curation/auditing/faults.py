"""Faults that a dataset was born with: what tables, exports and conversions leave in reports, and films that show none.

    report_is_empty     the report, or a section of it, is a word that tables write for an empty cell: nan, None, NULL
    view_left_unknown   "View: unknown", while the report's own words name the view
    image_...           with --images: a film that is missing, damaged, blank, nearly black, no chest film, ...
                        (data/intake/images.py names the reasons)

They are findings of the rule `dataset`: no trace can mend them, and no rule of the gate looks at them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...data.ids import is_missing
from ...data.intake.images import admit
from ...data.intake.reports import UNKNOWN_VIEW, Refusal, find_sections, view_words, views_in
from ...schemas.verdict import Finding, Severity

RULE = "dataset"
_IMAGES = ("image", "images", "image_path", "image_paths", "film", "films")


def report_faults(report: str | None) -> Iterator[Finding]:
    """What is wrong with a report that no table or export should have written so."""
    if report is None:
        return
    if is_missing(report):
        yield _found("report_is_empty", "error", f"The report is {report.strip()!r}, which is no report.")
        return
    sections = find_sections(report, empty=True)
    for name, text in sections.model_dump(exclude_none=True).items():
        if text.strip() and is_missing(text):
            yield _found("report_is_empty", "error", f"{name.capitalize()} is {text.strip()!r}, which is no text.")
    if (sections.view or "").strip().lower().rstrip(".") == UNKNOWN_VIEW and (named := views_in(view_words(report))):
        message = f"The view is called unknown, while the report names it: {', '.join(named)}."
        yield _found("view_left_unknown", "warning", message)


def image_faults(fields: Mapping[str, Any], root: Path) -> Iterator[Finding]:
    """What is wrong with the films that a row names by their paths below a folder."""
    for name in _paths(fields):
        admitted = admit(root / name, root, None)
        if isinstance(admitted, Refusal):
            if admitted.reason != "unsupported_format":  # it can be read, once it is converted
                yield _found(f"image_{admitted.reason}", "error", f"{name}: {admitted.detail}.")
            continue
        for code, detail in admitted.warnings:
            yield _found(f"image_{code}", "warning", f"{name}: {detail}.")


def _paths(fields: Mapping[str, Any]) -> Iterator[str]:
    for value in (fields[name] for name in _IMAGES if fields.get(name)):
        for one in value if isinstance(value, list | tuple) else (value,):
            path = one.get("path") if isinstance(one, Mapping) else one
            if isinstance(path, str):
                yield path


def _found(code: str, severity: Severity, message: str) -> Finding:
    return Finding(rule=RULE, code=code, severity=severity, message=message)
