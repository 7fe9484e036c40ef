"""Judge a foreign text: one trace in one call, or the study and candidate that it stands for."""

from collections.abc import Mapping, Sequence

from ..schemas.base import Status
from ..schemas.candidate import Author, Candidate
from ..schemas.errors import InputError
from ..schemas.study import Study
from ..schemas.verdict import Verdict
from .findings import Claim, claims
from .gate import judge
from .headers import HEADERS, sections
from .reading import read_candidate


def check(
    text: str,
    reference: str | None = None,
    *,
    views: Sequence[str] = (),
    has_prior: bool = False,
    author: Author = "teacher",
) -> Verdict:
    """Judge one trace.

    Args:
        text: ten steps, numbered `1.` to `10.`, one line each; an empty line; the report. The tagged layout and
            a JSON object with `step_01` to `step_10` are read as well.
        reference: the reference report. Without it, the text's own report takes its place, and only the rule that
            compares the two byte for byte cannot decide.
        views: the views that the writer saw, e.g. ["PA", "lateral"].
        has_prior: whether the writer was given an earlier image or report.
        author: a teacher's report must equal the reference; a student's is its own reading.

    Returns:
        The verdict, with `findings`, `outcome` (reject if one of them is an error, doubt if one is a doubt, else
        accept) and `accepted`.

    Raises:
        InputError: the text or the reference is no text, as an empty cell of a table is none.
    """
    for name, given in (("text", text), ("reference", "" if reference is None else reference)):
        _check_text(name, given)
    return judge(*as_pair(text, "text", reference, views=views, has_prior=has_prior, author=author))


def findings(text: str) -> tuple[Claim, ...]:
    """What a report or a step asserts, denies or leaves open, in the order of the text.

    Args:
        text: English prose of a chest X-ray report. What stands under headings that say nothing about the image
            (indication, history, comparison) is left out.

    Returns:
        The claims, each with its finding, status, side, place and span [start, end) in `text`.

    Raises:
        InputError: it is no text, as an empty cell of a table is none.
    """
    _check_text("text", text)
    return claims(text)


def _check_text(name: str, given: object) -> None:
    if not isinstance(given, str):
        raise InputError(f"a text is wanted, not {type(given).__name__}", field=name)


def as_pair(
    text: str,
    row_id: str,
    reference: str | None = None,
    *,
    patient_id: str | None = None,
    views: Sequence[str] = (),
    labels: Mapping[str, Status] | None = None,
    has_prior: bool = False,
    author: Author = "teacher",
) -> tuple[Study, Candidate]:
    """The study and the candidate that a foreign text stands for; the arguments are those of `check`."""
    candidate = read_candidate(text, row_id, author=author)
    own = candidate.trace.report if candidate.trace else None
    # a text without any report is its own reference: what is found then is the missing report, not every claim
    report = next(found for found in (reference, own, text, "(empty)") if found and found.strip())
    study = Study(
        id=row_id,
        patient_id=patient_id or row_id,
        source="foreign",
        data_class="restricted",  # what is unknown is treated as restricted
        views=tuple(views),
        report=report,
        report_form="four-header" if _is_four_header(report) else "verbatim",
        labels=dict(labels or {}),
        has_prior=has_prior,
    )
    return study, candidate


def _is_four_header(report: str) -> bool:
    before, found = sections(report)
    written = tuple(section.written for section in found)
    return not before.strip() and written == tuple(f"{name}:" for name in HEADERS)
